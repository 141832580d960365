/**
 * Mappings between the ids inside a container and the host's, pure. An extent reads as a line of uid_map does.
 */
import type { IdExtent } from '../system/namespaces.js';
import type { Range } from '../uid-allocator/record.js';

/** The two maps of a user namespace. */
export interface IdMapping {
  readonly uid: readonly IdExtent[];
  readonly gid: readonly IdExtent[];
}

/** A container's whole range: its id n is the host's base + n, for users and groups alike. */
export function wholeRange(range: Range): IdMapping {
  const extents = [{ containerId: 0, hostId: range.base, size: range.size }];
  return { uid: extents, gid: extents };
}

/** The text that /proc/PID/uid_map and gid_map take. */
export function mapText(extents: readonly IdExtent[]): string {
  return extents.map((extent) => `${extent.containerId} ${extent.hostId} ${extent.size}\n`).join('');
}

/** The range that a map stands for when it is a container's whole range; `undefined` for any other map. */
export function rangeOfMap(extents: readonly IdExtent[]): Range | undefined {
  const [only, ...others] = extents;
  if (only === undefined || others.length > 0 || only.containerId !== 0 || only.hostId === 0)
    return undefined;
  return { base: only.hostId, size: only.size };
}

/** What `callerMapping` needs to know of an approved mount (see docs/identity.md). */
export interface CallerMappingRequest {
  /** uid and gid on disk that stand for one user of the container. */
  readonly owner: { readonly uid: number; readonly gid: number };
  /** That user, as the container numbers it. */
  readonly user: { readonly uid: number; readonly gid: number };
  /** Where every other id of the container lands on disk: id n at base + n. */
  readonly subordinate: { readonly uidBase: number; readonly gidBase: number; readonly size: number };
  /** Further gids on disk that keep their own number inside. */
  readonly sharedGids: readonly number[];
}

/**
 * Maps ids on disk to a container's, for a bind that carries its caller's rights and no more. It never makes one id of
 * two, and never maps an id on disk that isn't the owner's, a shared group's, or of the subordinate range.
 * @throws RangeError when the user lies outside the container's range, or the subordinate range is too small for it
 */
export function callerMapping(range: Range, request: CallerMappingRequest): IdMapping {
  const { owner, user, subordinate, sharedGids } = request;
  if (subordinate.size < range.size) {
    throw new RangeError(`the subordinate range has ${subordinate.size} ids, the container ${range.size}`);
  }
  const shared = [...new Set(sharedGids)].filter(
    (gid) => gid !== owner.gid && gid !== user.gid && gid < range.size,
  );
  return {
    uid: extentsAround(range, subordinate.uidBase, [[owner.uid, user.uid]]),
    gid: extentsAround(range, subordinate.gidBase, [
      [owner.gid, user.gid],
      ...shared.map((gid): [number, number] => [gid, gid]),
    ]),
  };
}

/** Single ids [on disk, in the container] take their places; what lies between them comes from the subordinate range. */
function extentsAround(
  range: Range,
  subordinateBase: number,
  singles: readonly (readonly [number, number])[],
): IdExtent[] {
  const exact = singles.map(([onDisk, inside]): IdExtent => {
    if (inside >= range.size) throw new RangeError(`the container has no id ${inside}`);
    return { containerId: onDisk, hostId: range.base + inside, size: 1 };
  });
  // A single id that lies in the subordinate range itself leaves a gap there: no id on disk is mapped twice.
  const gaps = singles
    .flatMap(([onDisk, inside]) => [inside, onDisk - subordinateBase])
    .filter((id) => id >= 0 && id < range.size)
    .sort((one, other) => one - other);
  let next = 0;
  const rest: IdExtent[] = [];
  for (const gap of [...gaps, range.size]) {
    if (gap > next) {
      rest.push({ containerId: subordinateBase + next, hostId: range.base + next, size: gap - next });
    }
    next = Math.max(next, gap + 1);
  }
  return [...exact, ...rest].sort((one, other) => one.hostId - other.hostId);
}
