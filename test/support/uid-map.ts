/** Reads what /proc/PID/uid_map shows: the ids of a user namespace (user_namespaces(7)). */

export interface UidMap {
  readonly inside: number;
  readonly outside: number;
  readonly size: number;
}

/** The only line of a uid_map. */
export function parseUidMap(text: string): UidMap {
  const match = /^\s*(\d+)\s+(\d+)\s+(\d+)\s*$/.exec(text);
  if (!match) throw new Error(`not a uid_map of one line: ${JSON.stringify(text)}`);
  return { inside: Number(match[1]), outside: Number(match[2]), size: Number(match[3]) };
}

/** The map of a process that is in no user namespace of its own. */
export const hostMap: UidMap = { inside: 0, outside: 0, size: 4_294_967_295 };
