/**
 * The grid of id ranges: block i is [100000 + i·65536, +65536), from 100000 to the end of the 32-bit id space.
 * Pure arithmetic. The grid is the same for every process and every setting: two blocks either are the same or
 * share no id, so that a file made exclusively under the block's base is enough to own it.
 */
import type { Range } from './record.js';

/** What a container's map needs: ids 0 to 65535, `nobody` (65534) among them. */
export const RANGE_SIZE = 65536;
/** The first block's base, as with Docker's and Sysbox's own first range. */
export const FIRST_BASE = 100_000;
/** (uid_t) -1 means "no id" to the kernel (chown(2)), so no block may hold it. */
const LAST_USABLE_ID = 0xffff_fffe;
/** 65,534 blocks. */
export const BLOCK_COUNT = Math.floor((LAST_USABLE_ID + 1 - FIRST_BASE) / RANGE_SIZE);

/** The block with that number; `index` is 0 to BLOCK_COUNT - 1. */
export function blockAt(index: number): Range {
  if (!Number.isInteger(index) || index < 0 || index >= BLOCK_COUNT) {
    throw new RangeError(`there is no block ${index}`);
  }
  return { base: FIRST_BASE + index * RANGE_SIZE, size: RANGE_SIZE };
}

/** The number of the block that starts at `base`; undefined when none does. */
export function blockIndex(base: number): number | undefined {
  const index = (base - FIRST_BASE) / RANGE_SIZE;
  return Number.isInteger(index) && index >= 0 && index < BLOCK_COUNT ? index : undefined;
}

/** The block that an id belongs to; undefined for ids outside the grid. */
export function blockHolding(id: number): Range | undefined {
  const index = Math.floor((id - FIRST_BASE) / RANGE_SIZE);
  return index >= 0 && index < BLOCK_COUNT ? blockAt(index) : undefined;
}

/** True when the two share an id. */
export function overlaps(a: Range, b: Range): boolean {
  return a.base < b.base + b.size && b.base < a.base + a.size;
}

/** The numbers of the blocks that share an id with [first, first + count); the ids may lie outside the grid. */
export function blocksTouching(first: number, count: number): { readonly from: number; readonly to: number } {
  const from = Math.max(0, Math.floor((first - FIRST_BASE) / RANGE_SIZE));
  const to = Math.min(BLOCK_COUNT - 1, Math.floor((first + count - 1 - FIRST_BASE) / RANGE_SIZE));
  return { from, to };
}
