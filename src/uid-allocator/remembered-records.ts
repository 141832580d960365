/**
 * Containers' records as last read, given again without reading them again, for as long as the two files that they
 * rest on are the very same ones. Each request over a container's Docker socket asks for its container's record. It
 * must never give a record that the ledger has changed or freed meanwhile, by whatever process: the files are looked
 * at each time, and whatever is in doubt is read.
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
}

/** More records than this aren't remembered: the oldest make room. */
const mostRecords = 4096;
/**
 * A file that was changed later than so long before it was read isn't remembered, in milliseconds: the kernel's clock
 * for files ticks every few of them, so that two files of one tick could look the same.
 */
const settledAfter = 1000;

export class RememberedRecords {
  readonly #disk: MarkedDisk;
  readonly #read: (containerId: string) => ContainerRecord | undefined;
  readonly #known = new Map<string, Remembered>();

  /** @param read what the ledger's files say now; its errors are passed on */
  constructor(disk: MarkedDisk, read: (containerId: string) => ContainerRecord | undefined) {
    this.#disk = disk;
    this.#read = read;
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

  #holds({ record, container, range }: Remembered): boolean {
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
    this.#known.set(record.id, { record, container, range });
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
