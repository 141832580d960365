/**
 * The names of containers, from the Docker API that this account can reach. For screens only: nothing is decided
 * by them.
 */
import { z } from 'zod';
import { requestOverSocket } from '../system/unix-http.js';

const listSchema = z.array(
  z.object({ Id: z.string(), Names: z.array(z.string()).nullish(), State: z.string().nullish() }),
);

export interface NamedContainer {
  readonly name: string;
  readonly state: string;
}

/** Name and state by full id; empty when none of the sockets answers. */
export async function containerNames(
  sockets: readonly string[],
): Promise<ReadonlyMap<string, NamedContainer>> {
  for (const socket of sockets) {
    try {
      const { body } = await requestOverSocket(socket, { method: 'GET', path: '/containers/json?all=1' });
      const list = listSchema.parse(JSON.parse(body.toString()));
      return new Map(
        list.map(({ Id, Names, State }) => [
          Id,
          { name: (Names?.[0] ?? '').replace(/^\//, ''), state: State ?? '' },
        ]),
      );
    } catch {
      // Without names the screen shows ids.
    }
  }
  return new Map();
}
