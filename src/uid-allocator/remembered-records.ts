/**
 * Containers' records as last read, given again without reading them again, for as long as the two files that they
 * rest on are the very same ones. Each request over a container's Docker socket asks for its container's record. It
 * must never give a record that this process has changed or freed meanwhile, nor one that another has more than a
 * millisecond ago: the files are looked at again then, and whatever is in doubt is read.
 */
import type { FileMark } from './disk.js';
import { containerFile, rangeFile } from './files.js';
import type { ContainerRecord } from './record.js';

/** What it needs of the ledger's disk. */
export interface MarkedDisk {
  mark(path: string): FileMark | undefined;
}

interface Remembered {
  readonly record: ContainerRecord;
  readonly container: FileMark;
  readonly range: FileMark;
  /** When its files were looked at last, by the clock and by the changes until then. */
  looked: number;
  changes: number;
}

/** More records than this aren't remembered: the oldest make room. */
const mostRecords = 4096;
/**
 * A file that was changed later than so long before it was read isn't remembered, in milliseconds: the kernel's clock
 * for files ticks every few of them, so that two files of one tick could look the same.
 */
const settledAfter = 1000;
/**
 * For how long a look at the files is believed, in milliseconds: shorter than a request that was judged just before a
 * change takes to reach the engine, and enough for what a busy client asks meanwhile.
 */
const believedFor = 1;

export class RememberedRecords {
  readonly #disk: MarkedDisk;
  readonly #read: (containerId: string) => ContainerRecord | undefined;
  readonly #now: () => number;
  readonly #known = new Map<string, Remembered>();
  #changes = 0;

  /**
   * @param read what the ledger's files say now; its errors are passed on
   * @param now a clock that never goes back, in milliseconds
   */
  constructor(
    disk: MarkedDisk,
    read: (containerId: string) => ContainerRecord | undefined,
    now: () => number = () => performance.now(),
  ) {
    this.#disk = disk;
    this.#read = read;
    this.#now = now;
  }

  /** This process has changed something: no earlier look is believed any more. */
  changed(): void {
    this.#changes += 1;
  }

  /** The record of a container, as `read` would give it. */
  get(containerId: string): ContainerRecord | undefined {
    const known = this.#known.get(containerId);
    if (known !== undefined && this.#holds(known)) return known.record;
    this.#known.delete(containerId);
    const began = Date.now();
    const record = this.#read(containerId);
    if (record !== undefined) this.#remember(record, began);
    return record;
  }

  #holds(known: Remembered): boolean {
    const now = this.#now();
    if (known.changes === this.#changes && now - known.looked < believedFor) return true;
    const { record, container, range } = known;
    known.looked = now;
    known.changes = this.#changes;
    return (
      isSame(container, this.#disk.mark(containerFile(record.id))) &&
      isSame(range, this.#disk.mark(rangeFile(record.range.base)))
    );
  }

  /** Files that are older than the reading are what was read: whatever replaces a file is younger than that. */
  #remember(record: ContainerRecord, began: number): void {
    const container = this.#disk.mark(containerFile(record.id));
    const range = this.#disk.mark(rangeFile(record.range.base));
    const settled = BigInt(began - settledAfter) * 1_000_000n;
    if (container === undefined || range === undefined) return;
    if (container.changed >= settled || range.changed >= settled) return;
    if (this.#known.size >= mostRecords) {
      for (const [oldest] of this.#known) {
        this.#known.delete(oldest);
        break;
      }
    }
    this.#known.set(record.id, { record, container, range, looked: Number.NEGATIVE_INFINITY, changes: 0 });
  }
}

function isSame(one: FileMark, other: FileMark | undefined): boolean {
  return (
    other !== undefined &&
    one.device === other.device &&
    one.inode === other.inode &&
    one.size === other.size &&
    one.changed === other.changed
  );
}
