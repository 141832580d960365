/**
 * `cofferdam adopt NAME`: makes a container that isn't isolated isolated. Its files become an image, and the container
 * is made anew through cofferdam's own socket with the same configuration, volumes, networks and name. The old one goes
 * only when the new one is there; any failure before puts everything back.
 */
import { EngineClient } from '../engine/client.js';
import { findEngine } from '../engine/find.js';
import { Adoption, AdoptionRefused } from './adoption.js';
import { parseOptions, socketPath, UsageError } from './options.js';
import { colour, complain, print, printJson } from './output.js';

/** Stopping a container and committing a large one take their time, in milliseconds. */
const patience = 3_600_000;

/** Adopts the named containers; 1 when one of them could not be. */
export async function adopt(argv: readonly string[], environment: NodeJS.ProcessEnv): Promise<number> {
  const options = parseOptions('adopt', argv, environment);
  if (options.operands.length === 0) throw new UsageError('name the containers to adopt', 'adopt');
  const found = await findEngine({ engine: options.engine, listen: options.listen }, environment);
  const [listen = ''] = options.listen;
  if (found === undefined) throw new AdoptionRefused('no engine was found; name it with --engine');
  const engine = new EngineClient(found.socket, patience);
  const cofferdam = new EngineClient(socketPath(listen), patience);
  const adoption = new Adoption(engine, cofferdam);
  const results: { name: string; id?: string; problem?: string }[] = [];
  try {
    for (const name of options.operands) {
      try {
        results.push({ name, id: await adoption.adopt(name) });
      } catch (error) {
        results.push({ name, problem: error instanceof Error ? error.message : String(error) });
      }
    }
  } finally {
    await Promise.all([engine.close(), cofferdam.close()]);
  }
  if (options.json) printJson(results);
  for (const { name, id, problem } of options.json ? [] : results) {
    if (problem !== undefined) complain(`${name}: ${problem}`);
    else print(`${colour('green', 'adopted')}  ${name} is ${id?.slice(0, 12)} now, and isolated`);
  }
  return results.some(({ problem }) => problem !== undefined) ? 1 : 0;
}
