/**
 * Which blocks may be handed out, and in which order. Pure: it knows nothing of what is on disk.
 * Containers go upwards and round: a block that was freed rests until all others had their turn. Callers' own
 * ranges are kept for good and come from the top, so that the two meet only when the pool is full.
 */
import type { IdSpan } from './host-ids.js';
import { BLOCK_COUNT, blockAt, blockIndex, blocksTouching, FIRST_BASE, RANGE_SIZE } from './range.js';
import type { Range } from './record.js';

/** The part of the grid to use, as host ids; blocks that lie wholly inside are used. */
export interface PoolBounds {
  readonly first: number;
  /** The last id that may be handed out. */
  readonly last: number;
}

export const wholePool: PoolBounds = {
  first: FIRST_BASE,
  last: blockAt(BLOCK_COUNT - 1).base + RANGE_SIZE - 1,
};

/** A set of blocks by base, fast enough to look through all of them for each allocation. */
export class BlockSet {
  readonly #present = new Uint8Array(BLOCK_COUNT);

  /** Bases that are no block's are left out. */
  add(base: number): void {
    const index = blockIndex(base);
    if (index !== undefined) this.#present[index] = 1;
  }

  has(base: number): boolean {
    const index = blockIndex(base);
    return index !== undefined && this.#present[index] === 1;
  }

  hasIndex(index: number): boolean {
    return this.#present[index] === 1;
  }

  clear(): void {
    this.#present.fill(0);
  }
}

export class Pool {
  readonly #from: number;
  readonly #to: number;
  readonly #excluded = new BlockSet();
  #size = 0;

  /**
   * @param bounds ids that may be handed out
   * @param reserved ids that the host itself uses; a block that holds one is never handed out
   */
  constructor(bounds: PoolBounds = wholePool, reserved: readonly IdSpan[] = []) {
    this.#from = Math.max(0, Math.ceil((bounds.first - FIRST_BASE) / RANGE_SIZE));
    this.#to = Math.min(BLOCK_COUNT, Math.floor((bounds.last + 1 - FIRST_BASE) / RANGE_SIZE)) - 1;
    for (const span of reserved) {
      const { from, to } = blocksTouching(span.first, span.count);
      for (let index = from; index <= to; index++) this.#excluded.add(blockAt(index).base);
    }
    for (let index = this.#from; index <= this.#to; index++) {
      if (!this.#excluded.hasIndex(index)) this.#size++;
    }
  }

  /** How many blocks it has. */
  get size(): number {
    return this.#size;
  }

  /**
   * Every block once, beginning after the one with the base `last`, upwards and round.
   * @param skip looked at anew for each block
   */
  *after(last: number | undefined, skip: BlockSet): Generator<Range, void, void> {
    const width = this.#to - this.#from + 1;
    const previous = last === undefined ? undefined : blockIndex(last);
    const start = previous === undefined ? 0 : Math.max(0, previous + 1 - this.#from);
    for (let step = 0; step < width; step++) {
      const index = this.#from + ((start + step) % width);
      if (!this.#excluded.hasIndex(index) && !skip.hasIndex(index)) yield blockAt(index);
    }
  }

  /** Every block once, downwards from the top, but for those in `skip`. */
  *fromTop(skip: BlockSet): Generator<Range, void, void> {
    for (let index = this.#to; index >= this.#from; index--) {
      if (!this.#excluded.hasIndex(index) && !skip.hasIndex(index)) yield blockAt(index);
    }
  }
}
