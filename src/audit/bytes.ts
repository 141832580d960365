/**
 * Text as bytes, put together piece by piece in one buffer that grows: what is written to a file needs no string
 * before. Room must be made (`reserve`) before anything is added.
 */

const zero = 0x30;
const point = 0x2e;
/** Pieces up to this length are copied byte by byte: calling out of JavaScript takes longer. */
const shortPiece = 16;
/** Whole numbers from here on don't fit in V8's small ones: they are written like all others. */
const smallNumber = 2 ** 30;

export class Bytes {
  #bytes: Buffer;
  #length = 0;

  /** @param capacity bytes that it has room for at first */
  constructor(capacity: number) {
    this.#bytes = Buffer.allocUnsafeSlow(capacity);
  }

  get length(): number {
    return this.#length;
  }

  get capacity(): number {
    return this.#bytes.length;
  }

  /** Makes room for so many bytes more. */
  reserve(count: number): void {
    const needed = this.#length + count;
    if (needed <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.#bytes.length));
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
  }

  /** Forgets what stands behind the first `length` bytes. */
  cut(length: number): void {
    this.#length = length;
  }

  /** The bytes from `start` to `end`, not copied: they change with what is added after a cut. */
  view(start: number, end = this.#length): Buffer {
    return this.#bytes.subarray(start, end);
  }

  add(piece: Uint8Array): void {
    const at = this.#length;
    const bytes = this.#bytes;
    if (piece.length > shortPiece) bytes.set(piece, at);
    else for (let index = 0; index < piece.length; index += 1) bytes[at + index] = piece[index] ?? 0;
    this.#length = at + piece.length;
  }

  /** Adds what `other` has from `start` on. */
  addFrom(other: Bytes, start: number): void {
    this.#length += other.#bytes.copy(this.#bytes, this.#length, start, other.#length);
  }

  /** Adds characters that are one byte each. */
  latin1(text: string): void {
    this.#length += this.#bytes.write(text, this.#length, text.length, 'latin1');
  }

  /** Writes the `count` last bytes over the first ones, too. */
  copyToStart(count: number): void {
    this.#bytes.copyWithin(0, this.#length - count, this.#length);
  }

  /** Adds a whole number that isn't negative. */
  whole(value: number): void {
    if (value >= smallNumber) this.latin1(String(value));
    else this.#digits(value);
  }

  #digits(value: number): void {
    let end = this.#length + 1;
    for (let rest = value; rest >= 10; rest = (rest / 10) | 0) end += 1;
    this.#length = end;
    for (let rest = value, at = end - 1; rest > 0 || at === end - 1; at -= 1) {
      const quotient = (rest / 10) | 0;
      this.#bytes[at] = zero + rest - quotient * 10;
      rest = quotient;
    }
  }

  /**
   * Adds a number that isn't negative as JSON has it. Those in whole thousandths, as nearly all durations in
   * milliseconds, don't go through V8's own search for the shortest digits.
   */
  thousandths(value: number): void {
    const all = Math.round(value * 1000);
    const whole = Math.floor(value);
    if (all / 1000 !== value || whole >= smallNumber) {
      this.latin1(String(value));
      return;
    }
    this.#digits(whole);
    const rest = all - whole * 1000;
    if (rest === 0) return;
    this.#bytes[this.#length++] = point;
    this.threeDigits(rest);
    while (this.#bytes[this.#length - 1] === zero) this.#length -= 1;
  }

  /** Adds a whole number below 1,000 with zeros before it. */
  threeDigits(value: number): void {
    const at = this.#length;
    this.#bytes[at] = zero + ((value / 100) | 0);
    this.#bytes[at + 1] = zero + (((value / 10) | 0) % 10);
    this.#bytes[at + 2] = zero + (value % 10);
    this.#length = at + 3;
  }
}
