/**
 * `cofferdam adopt NAME`: makes a container that isn't isolated isolated. Its files become an image, and the container
 * is made anew through cofferdam's own socket with the same configuration, volumes, networks and name. The old one goes
 * only when the new one is there; any failure before puts everything back.
 */
import { z } from 'zod';
import { EngineClient } from '../engine/client.js';
import { messageSchema } from '../engine/client-answers.js';
import { findEngine } from '../engine/find.js';
import { isolatingRuntime } from '../rules/runtime.js';
import {
  type Adoptable,
  type AdoptionRequest,
  adoptableSchema,
  adoptionRequest,
} from './adoption-request.js';
import { parseOptions, socketPath, UsageError } from './options.js';
import { colour, complain, print, printJson } from './output.js';

/** Why a container can't be adopted; nothing has changed. */
class AdoptionRefused extends Error {
  readonly code = 'COFFERDAM_ADOPTION_REFUSED';
}

const created = z.object({ Id: z.string() });

/** Adopts the named containers; 1 when one of them could not be. */
export async function adopt(argv: readonly string[], environment: NodeJS.ProcessEnv): Promise<number> {
  const options = parseOptions('adopt', argv, environment);
  if (options.operands.length === 0) throw new UsageError('name the containers to adopt', 'adopt');
  const found = await findEngine({ engine: options.engine, listen: options.listen }, environment);
  const [listen = ''] = options.listen;
  if (found === undefined) throw new AdoptionRefused('no engine was found; name it with --engine');
  const engine = new EngineClient(found.socket);
  const cofferdam = new EngineClient(socketPath(listen));
  const results: { name: string; id?: string; problem?: string }[] = [];
  try {
    for (const name of options.operands) {
      try {
        results.push({ name, id: await adoptOne(name, engine, cofferdam) });
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

async function adoptOne(name: string, engine: EngineClient, cofferdam: EngineClient): Promise<string> {
  const container = await engine.get(`/containers/${encodeURIComponent(name)}/json`, adoptableSchema);
  refuseUnfit(container);
  const own = container.Name.replace(/^\//, '');
  const path = `/containers/${container.Id}`;
  if (container.State.Running) await engine.run('POST', `${path}/stop`);
  const image = await engine.post('/commit', created, {
    query: { container: container.Id, repo: 'cofferdam/adopted', tag: container.Id.slice(0, 12) },
  });
  const aside = `${own}-before-adoption`;
  await engine.run('POST', `${path}/rename`, { query: { name: aside } });
  try {
    const id = await makeAnew(own, adoptionRequest(container, image.Id), cofferdam, container.State.Running);
    await engine.run('DELETE', path);
    return id;
  } catch (error) {
    await engine.run('POST', `${path}/rename`, { query: { name: own } });
    if (container.State.Running) await engine.run('POST', `${path}/start`);
    await engine.call('DELETE', `/images/${encodeURIComponent(image.Id)}`);
    throw error;
  }
}

function refuseUnfit(container: Adoptable): void {
  if (container.HostConfig.Runtime === isolatingRuntime) throw new AdoptionRefused('it is isolated already');
  if (container.HostConfig.AutoRemove) {
    throw new AdoptionRefused('it was made with --rm, and would be gone once it stops');
  }
}

/** Makes the isolated container, and removes it again when it can't be made complete. */
async function makeAnew(
  name: string,
  { body, connections }: AdoptionRequest,
  cofferdam: EngineClient,
  start: boolean,
): Promise<string> {
  const { Id } = await created.parseAsync(
    JSON.parse(await succeed(cofferdam, '/containers/create', { query: { name }, body })),
  );
  try {
    for (const { network, endpoint } of connections) {
      const connection = { Container: Id, EndpointConfig: endpoint };
      await succeed(cofferdam, `/networks/${encodeURIComponent(network)}/connect`, { body: connection });
    }
    if (start) await succeed(cofferdam, `/containers/${Id}/start`, {});
    return Id;
  } catch (error) {
    await cofferdam.call('DELETE', `/containers/${Id}`, { query: { force: '1' } });
    throw error;
  }
}

/** A POST through cofferdam whose refusal is told in its own words. */
async function succeed(
  cofferdam: EngineClient,
  path: string,
  options: Parameters<EngineClient['call']>[2],
): Promise<string> {
  const { status, text } = await cofferdam.call('POST', path, options);
  if (status < 400) return text;
  const message = messageSchema.safeParse(JSON.parse(text));
  throw new AdoptionRefused(message.success ? message.data.message : `HTTP ${status}`);
}
