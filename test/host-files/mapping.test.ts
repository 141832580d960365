import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type CallerMappingRequest, callerMapping } from '../../src/runtime/id-mapping.js';
import type { IdExtent } from '../../src/system/namespaces.js';

const range = { base: 165_536, size: 65_536 };
const base: CallerMappingRequest = {
  owner: { uid: 1000, gid: 1000 },
  user: { uid: 0, gid: 0 },
  subordinate: { uidBase: 3_000_000_000, gidBase: 3_100_000_000, size: 65_536 },
  sharedGids: [],
};

/** The container's id for an id on disk; undefined where files show as nobody's. */
function inside(extents: readonly IdExtent[], disk: number): number | undefined {
  const extent = extents.find((one) => disk >= one.containerId && disk < one.containerId + one.size);
  return extent && extent.hostId + (disk - extent.containerId) - range.base;
}

function disjoint(extents: readonly IdExtent[], side: 'containerId' | 'hostId'): boolean {
  const sorted = [...extents].sort((a, b) => a[side] - b[side]);
  return sorted.every((one, index) => {
    const next = sorted[index + 1];
    return next === undefined || one[side] + one.size <= next[side];
  });
}

describe('the map of a bind', () => {
  test('a container that runs as root: the owner is root inside, all else lands in the subordinate range', () => {
    expect(callerMapping(range, base)).toEqual({
      uid: [
        { containerId: 1000, hostId: 165_536, size: 1 },
        { containerId: 3_000_000_001, hostId: 165_537, size: 65_535 },
      ],
      gid: [
        { containerId: 1000, hostId: 165_536, size: 1 },
        { containerId: 3_100_000_001, hostId: 165_537, size: 65_535 },
      ],
    });
  });

  test('a container that runs as its caller: the owner keeps its number', () => {
    expect(callerMapping(range, { ...base, user: { uid: 1000, gid: 1000 } }).uid).toEqual([
      { containerId: 3_000_000_000, hostId: 165_536, size: 1000 },
      { containerId: 1000, hostId: 166_536, size: 1 },
      { containerId: 3_000_001_001, hostId: 166_537, size: 64_535 },
    ]);
  });

  test('shared groups keep their number, unless it is the caller’s or the container’s own group', () => {
    const subordinate = { uidBase: 3_000_000_000, gidBase: 3_000_000_000, size: 65_536 };
    const sharedGids = [2000, 2000, 1000, 0, 70_000];
    expect(callerMapping(range, { ...base, subordinate, sharedGids }).gid).toEqual([
      { containerId: 1000, hostId: 165_536, size: 1 },
      { containerId: 3_000_000_001, hostId: 165_537, size: 1999 },
      { containerId: 2000, hostId: 167_536, size: 1 },
      { containerId: 3_000_002_001, hostId: 167_537, size: 63_535 },
    ]);
  });

  test('a user outside the container, or too small a subordinate range: nothing is mapped', () => {
    const subordinate = { ...base.subordinate, size: 65_535 };
    expect(() => callerMapping(range, { ...base, subordinate })).toThrow(RangeError);
    expect(() => callerMapping(range, { ...base, user: { uid: 65_536, gid: 0 } })).toThrow(RangeError);
  });

  test('whatever the numbers: one to one, inside the range, and nobody else’s ids', () => {
    const id = fc.oneof(fc.nat(70_000), fc.integer({ min: 2_999_999_990, max: 3_000_070_000 }));
    fc.assert(
      fc.property(
        id,
        id,
        fc.nat(65_535),
        fc.nat(65_535),
        fc.array(fc.nat(66_000), { maxLength: 5 }),
        (ownerUid, ownerGid, containerUid, containerGid, sharedGids) => {
          const { uid: uids, gid: gids } = callerMapping(range, {
            ...base,
            owner: { uid: ownerUid, gid: ownerGid },
            user: { uid: containerUid, gid: containerGid },
            sharedGids,
          });
          for (const extents of [uids, gids]) {
            expect(disjoint(extents, 'containerId') && disjoint(extents, 'hostId')).toBe(true);
            expect(extents.length).toBeLessThanOrEqual(340);
            for (const { hostId, size } of extents) {
              expect(size).toBeGreaterThan(0);
              expect(hostId).toBeGreaterThanOrEqual(range.base);
              expect(hostId + size).toBeLessThanOrEqual(range.base + range.size);
            }
          }
          expect(inside(uids, ownerUid)).toBe(containerUid);
          expect(inside(gids, ownerGid)).toBe(containerGid);
          const foreign = [0, 4, 33, 1001, 65_534].filter((uid) => uid !== ownerUid);
          for (const uid of foreign) expect(inside(uids, uid)).toBeUndefined();
          for (const gid of foreign.filter((one) => one !== ownerGid && !sharedGids.includes(one))) {
            expect(inside(gids, gid)).toBeUndefined();
          }
        },
      ),
    );
  });
});
