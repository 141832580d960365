/**
 * Makes the lines of the audit log: each record gets its time, its number and its link of the hash chain. Lines are
 * bytes from the start, put together in one buffer, hashed where they stand and copied once.
 */
import { Bytes } from './bytes.js';
import { chainCharacters, chainDigest } from './chain.js';
import type { AuditRecord } from './record.js';
import { addRecord } from './record-bytes.js';

/** Where a log stands: the number and the chain of its last record. */
export interface LogPosition {
  readonly sequence: number;
  readonly chain: string;
}

/** What stands behind the whole seconds of a date: `Date` writes thousandths, and the zone behind them. */
const thousandthsEnd = '000Z'.length;
const sequenceBegin = Buffer.from('Z","sequence":');
const comma = Buffer.from(',');
const chainBegin = Buffer.from(',"chain":"');
const lineEnd = Buffer.from('"}\n');
/** Bytes of a line beside its record: time, number and chain with their names. */
const frameLength = 192;
/** Nearly all lines fit into this. */
const usualLine = 4096;
/** Capacity up to which a buffer is used again. Only a disk that hangs makes larger ones. */
const mostKept = 1 << 20;

export class AuditLines {
  #sequence: number;
  /** The chain of the line before, and the last line: what is hashed lies side by side. */
  readonly #line = new Bytes(usualLine);
  #made = new Bytes(usualLine);
  #taken = new Bytes(usualLine);
  /** The second, since the epoch, that `#time` is of. */
  #second: number | undefined;
  /** How a line begins, up to the thousandths of its time. */
  #time = Buffer.alloc(0);

  constructor({ sequence, chain }: LogPosition) {
    this.#sequence = sequence;
    this.#line.reserve(chainCharacters);
    this.#line.latin1(chain);
  }

  /** The number of the last line. */
  get sequence(): number {
    return this.#sequence;
  }

  /** Bytes of the lines that wait to be taken. */
  get length(): number {
    return this.#made.length;
  }

  /** Makes a record's line. @param at when it was made, in milliseconds since the epoch */
  add(at: number, record: AuditRecord): void {
    const line = this.#line;
    this.#sequence += 1;
    line.cut(chainCharacters);
    line.reserve(frameLength);
    this.#addTime(at);
    line.whole(this.#sequence);
    line.add(comma);
    addRecord(line, record);
    const chain = chainDigest(line.view(0));
    line.reserve(frameLength);
    line.add(chainBegin);
    line.latin1(chain);
    line.copyToStart(chainCharacters);
    line.add(lineEnd);
    this.#made.reserve(line.length - chainCharacters);
    this.#made.addFrom(line, chainCharacters);
  }

  /** Only the thousandths are new in most lines: writing dates whole took as long as the rest of the records. */
  #addTime(at: number): void {
    const second = Math.floor(at / 1000);
    if (second !== this.#second) {
      this.#second = second;
      const date = new Date(second * 1000).toISOString();
      this.#time = Buffer.from(`{"time":"${date.slice(0, -thousandthsEnd)}`);
    }
    this.#line.add(this.#time);
    this.#line.threeDigits(at - second * 1000);
    this.#line.add(sequenceBegin);
  }

  /** The last line without its newline. */
  lastLine(): string {
    return this.#line.view(chainCharacters, this.#line.length - 1).toString();
  }

  /**
   * Hands over the lines that were made since the last time, each with its newline.
   * @returns good until the next call: two buffers take turns, because new ones of this size make V8 collect
   */
  take(): Buffer {
    const made = this.#made;
    this.#made = this.#taken.capacity > mostKept ? new Bytes(usualLine) : this.#taken;
    this.#made.cut(0);
    this.#taken = made;
    return made.view(0);
  }
}
