import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BlockSet, Pool } from '../../src/uid-allocator/pool.js';
import {
  BLOCK_COUNT,
  blockAt,
  blockIndex,
  FIRST_BASE,
  overlaps,
  RANGE_SIZE,
} from '../../src/uid-allocator/range.js';

const none = new BlockSet();

describe('the grid', () => {
  test('begins at 100000 and holds 65,534 blocks below (uid_t) -1', () => {
    expect(blockAt(0)).toEqual({ base: 100_000, size: 65536 });
    expect(BLOCK_COUNT).toBe(65_534);
    const last = blockAt(BLOCK_COUNT - 1);
    expect(last.base + last.size - 1).toBeLessThan(0xffff_ffff);
    expect(() => blockAt(BLOCK_COUNT)).toThrow(RangeError);
  });

  test('two blocks are the same or share no id', () => {
    const index = fc.nat(BLOCK_COUNT - 1);
    fc.assert(
      fc.property(index, index, (a, b) => {
        expect(overlaps(blockAt(a), blockAt(b))).toBe(a === b);
        expect(blockIndex(blockAt(a).base)).toBe(a);
        expect(blockIndex(blockAt(a).base + 1)).toBeUndefined();
      }),
    );
  });
});

describe('a pool', () => {
  const bounds = { first: FIRST_BASE, last: FIRST_BASE + 20 * RANGE_SIZE - 1 };
  const span = fc.record({
    first: fc.integer({ min: 0, max: FIRST_BASE + 25 * RANGE_SIZE }),
    count: fc.integer({ min: 1, max: 3 * RANGE_SIZE }),
  });

  test('never offers a block that holds a reserved id, and offers every other one once', () => {
    fc.assert(
      fc.property(fc.array(span, { maxLength: 6 }), fc.option(fc.nat(25)), (reserved, last) => {
        const pool = new Pool(bounds, reserved);
        const free = Array.from({ length: 20 }, (_, index) => blockAt(index)).filter(
          (block) => !reserved.some(({ first, count }) => overlaps(block, { base: first, size: count })),
        );
        const offered = [...pool.after(last === null ? undefined : blockAt(last).base, none)];
        expect([...offered].sort((a, b) => a.base - b.base)).toEqual(free);
        expect([...pool.fromTop(none)].reverse()).toEqual(free);
        expect(pool.size).toBe(free.length);
      }),
    );
  });

  test('goes upwards from the last block and round', () => {
    const small = new Pool({ first: FIRST_BASE, last: FIRST_BASE + 3 * RANGE_SIZE - 1 });
    const bases = (last: number): number[] => [...small.after(last, none)].map(({ base }) => base);
    expect(bases(165_536)).toEqual([231_072, 100_000, 165_536]);
    expect(bases(231_072)).toEqual([100_000, 165_536, 231_072]);
  });

  test('uses only blocks that lie wholly inside its bounds', () => {
    const pool = new Pool({ first: FIRST_BASE + 1, last: FIRST_BASE + 3 * RANGE_SIZE - 2 });
    expect([...pool.after(undefined, none)]).toEqual([blockAt(1)]);
  });
});
