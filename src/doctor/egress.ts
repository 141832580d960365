/**
 * Whether the engine really connects through the daemon, where the settings ask for that: a file that dockerd hasn't
 * read yet doesn't count.
 */
import { usesProxy } from '../engine/registration.js';
import { bad, type Check, guarded, ok } from './check.js';

const name = "engine's way out";

/** @param port of the proxy that the settings ask for; undefined where they ask for none */
export async function examineEgress(socket: string, port: number | undefined): Promise<Check[]> {
  if (port === undefined) return [];
  const remedy = 'run `cofferdam setup`, then restart dockerd';
  const look = async () =>
    (await usesProxy(socket, port))
      ? ok(name, `through cofferdam, at 127.0.0.1:${port}`)
      : bad(name, 'the engine connects past cofferdam, though registryAccess.egress is on', remedy);
  return [await guarded(name, remedy, look)];
}
