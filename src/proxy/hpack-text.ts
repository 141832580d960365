/**
 * String literals of HPACK header blocks (RFC 7541, section 5): where they end, and what Huffman-coded ones say. Only
 * what is needed to cut a block into its fields; its tables are another's business.
 */

/** A block that can't be cut into fields. */
export class MalformedBlock extends Error {}

/** A string literal within a block: its bytes lie from `start` to `end`. */
export interface Literal {
  readonly huffman: boolean;
  readonly start: number;
  readonly end: number;
}

/** An integer with a prefix of so many bits (RFC 7541, section 5.1). @returns the value, and the index behind it */
export function readInteger(block: Buffer, at: number, prefixBits: number): [value: number, next: number] {
  const limit = (1 << prefixBits) - 1;
  let value = byteAt(block, at) & limit;
  let next = at + 1;
  if (value < limit) return [value, next];
  for (let shift = 0; ; shift += 7) {
    if (shift > 28) throw new MalformedBlock('an integer in a header block is too large');
    const byte = byteAt(block, next++);
    value += (byte & 127) * 2 ** shift;
    if (byte < 128) return [value, next];
  }
}

/** The string literal that begins here. */
export function readLiteral(block: Buffer, at: number): Literal {
  const [length, start] = readInteger(block, at, 7);
  const end = start + length;
  if (end > block.length) throw new MalformedBlock('a header block ends within a string');
  return { huffman: (byteAt(block, at) & 128) !== 0, start, end };
}

function byteAt(block: Buffer, at: number): number {
  const byte = block[at];
  if (byte === undefined) throw new MalformedBlock('a header block ends too early');
  return byte;
}

/** Lengths of the codes of the bytes 0 to 255, and of the end of a string, in bits (RFC 7541, appendix B). */
const codeLengths = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28,
  28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7,
  8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19,
  13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13,
  28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21,
  22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23,
  22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
  19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25,
  25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
];
const endOfString = 256;

/** The code as a tree: two entries a node, the next node's index, or a symbol as its negative minus one. */
const tree = codeTree();

/** The code is canonical: among those of one length, codes rise with their symbols. */
function codeTree(): Int32Array {
  const symbols = [...codeLengths.keys()].sort(
    (a, b) => (codeLengths[a] ?? 0) - (codeLengths[b] ?? 0) || a - b,
  );
  const nodes = new Int32Array(2 * codeLengths.length);
  let used = 2;
  let code = 0;
  let width = 0;
  for (const symbol of symbols) {
    const length = codeLengths[symbol] ?? 0;
    code *= 2 ** (length - width);
    width = length;
    let node = 0;
    for (let bit = length - 1; bit > 0; bit--) {
      const branch = node + ((code >>> bit) & 1);
      if (nodes[branch] === 0) {
        nodes[branch] = used;
        used += 2;
      }
      node = nodes[branch] ?? 0;
    }
    nodes[node + (code & 1)] = -symbol - 1;
    code++;
  }
  return nodes;
}

/** What a literal says, as latin1. */
export function textOf(block: Buffer, { huffman, start, end }: Literal): string {
  if (!huffman) return block.toString('latin1', start, end);
  // The shortest codes have 5 bits.
  const text = Buffer.allocUnsafe(Math.ceil(((end - start) * 8) / 5));
  let length = 0;
  let node = 0;
  for (let at = start; at < end; at++) {
    const byte = block[at] ?? 0;
    for (let bit = 7; bit >= 0; bit--) {
      const next = tree[node + ((byte >>> bit) & 1)] ?? 0;
      if (next >= 0) {
        node = next;
        continue;
      }
      const symbol = -next - 1;
      if (symbol === endOfString) throw new MalformedBlock('a string in a header block ends before its end');
      text[length++] = symbol;
      node = 0;
    }
  }
  return text.toString('latin1', 0, length);
}
