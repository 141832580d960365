/**
 * Header blocks of HTTP/2 (RFC 7541): read with the table that the other side fills, of values of any length, and
 * written without one, so that nothing of one call is left for another.
 */
import { MalformedBlock, readInteger, readLiteral, textOf } from './hpack-text.js';

/** Names and values in turns. */
export type Fields = readonly string[];

/** The values of the fields of a name, in their order. */
export function valuesOf(fields: Fields, name: string): readonly string[] {
  return fields.filter((_text, at) => at % 2 === 1 && fields[at - 1] === name);
}

/** RFC 7541, appendix A; index 1 is the first. */
const staticTable: readonly (readonly [name: string, value: string])[] = [
  [':authority', ''],
  [':method', 'GET'],
  [':method', 'POST'],
  [':path', '/'],
  [':path', '/index.html'],
  [':scheme', 'http'],
  [':scheme', 'https'],
  ...['200', '204', '206', '304', '400', '404', '500'].map((status) => [':status', status] as const),
  ['accept-charset', ''],
  ['accept-encoding', 'gzip, deflate'],
  ...[
    'accept-language',
    'accept-ranges',
    'accept',
    'access-control-allow-origin',
    'age',
    'allow',
    'authorization',
    'cache-control',
    'content-disposition',
    'content-encoding',
    'content-language',
    'content-length',
    'content-location',
    'content-range',
    'content-type',
    'cookie',
    'date',
    'etag',
    'expect',
    'expires',
    'from',
    'host',
    'if-match',
    'if-modified-since',
    'if-none-match',
    'if-range',
    'if-unmodified-since',
    'last-modified',
    'link',
    'location',
    'max-forwards',
    'proxy-authenticate',
    'proxy-authorization',
    'range',
    'referer',
    'refresh',
    'retry-after',
    'server',
    'set-cookie',
    'strict-transport-security',
    'transfer-encoding',
    'user-agent',
    'vary',
    'via',
    'www-authenticate',
  ].map((name) => [name, ''] as const),
];

/** Size of the table unless settings say otherwise (RFC 9113, section 6.5.2). */
const tableBytes = 4096;
/** What an entry counts for beside its name and value (RFC 7541, section 4.1), in bytes. */
const entryBytes = 32;

/** Reads the header blocks of one direction of a connection, each of them and in order. */
export class FieldReader {
  /** Newest first. */
  readonly #table: (readonly [name: string, value: string])[] = [];
  #size = 0;
  #capacity = tableBytes;

  /** @throws MalformedBlock when the connection can't be read any further */
  read(block: Buffer): string[] {
    const fields: string[] = [];
    for (let at = 0; at < block.length; ) {
      const first = block.readUInt8(at);
      if (first >= 128) {
        const [index, next] = readInteger(block, at, 7);
        fields.push(...this.#entry(index));
        at = next;
      } else if ((first & 0xe0) === 32) at = this.#resize(block, at, fields.length > 0);
      else at = this.#literal(block, at, fields);
    }
    return fields;
  }

  #resize(block: Buffer, at: number, late: boolean): number {
    const [capacity, next] = readInteger(block, at, 5);
    if (late || capacity > tableBytes) throw new MalformedBlock("the table's size can't be changed so");
    this.#capacity = capacity;
    this.#evict();
    return next;
  }

  #literal(block: Buffer, at: number, fields: string[]): number {
    const indexing = block.readUInt8(at) >= 64;
    const [index, behindIndex] = readInteger(block, at, indexing ? 6 : 4);
    let next = behindIndex;
    let name: string;
    if (index === 0) {
      const literal = readLiteral(block, next);
      name = textOf(block, literal);
      next = literal.end;
    } else [name] = this.#entry(index);
    const literal = readLiteral(block, next);
    const value = textOf(block, literal);
    fields.push(name, value);
    if (indexing) {
      this.#table.unshift([name, value]);
      this.#size += name.length + value.length + entryBytes;
      this.#evict();
    }
    return literal.end;
  }

  #evict(): void {
    while (this.#size > this.#capacity) {
      const [name = '', value = ''] = this.#table.pop() ?? [];
      this.#size -= name.length + value.length + entryBytes;
    }
  }

  #entry(index: number): readonly [name: string, value: string] {
    const entry =
      index <= staticTable.length ? staticTable[index - 1] : this.#table[index - staticTable.length - 1];
    if (entry === undefined) throw new MalformedBlock('a header field is not in the table');
    return entry;
  }
}

/** Longest that the length of a string becomes, in bytes: 32 bits in groups of seven, and its prefix. */
const lengthBytes = 6;

/** A header block of fields with latin1 values, none of which enters the other side's table. */
export function writeFields(fields: Fields): Buffer {
  const most = fields.reduce((sum, text) => sum + text.length + lengthBytes + 1, 0);
  const block = Buffer.allocUnsafe(most);
  let at = 0;
  for (const [index, text] of fields.entries()) {
    // Literals without indexing, with names of their own (RFC 7541, section 6.2.2).
    if (index % 2 === 0) block[at++] = 0;
    at = writeLength(block, at, text.length);
    at += block.write(text, at, 'latin1');
  }
  return block.subarray(0, at);
}

/** The length of a string that isn't Huffman-coded (RFC 7541, sections 5.1 and 5.2). @returns the index behind it */
function writeLength(block: Buffer, at: number, length: number): number {
  let next = at;
  if (length < 127) {
    block[next++] = length;
    return next;
  }
  block[next++] = 127;
  let rest = length - 127;
  for (; rest >= 128; rest >>>= 7) block[next++] = (rest & 127) | 128;
  block[next++] = rest;
  return next;
}

const fieldName = /^:?[!#$%&'*+.^_`|~0-9a-z-]+$/;
/** RFC 9113, section 8.2.2. */
const connectionFields = new Set([
  'connection',
  'proxy-connection',
  'keep-alive',
  'transfer-encoding',
  'upgrade',
]);

/** Whether the fields of an answer are well-formed (RFC 9113, sections 8.2 and 8.3.2); trailers have no status. */
export function wellFormedAnswer(fields: Fields, trailers: boolean): boolean {
  if (!trailers && (fields[0] !== ':status' || !/^[1-5]\d\d$/.test(fields[1] ?? ''))) return false;
  return fields.every((text, index) => {
    if (index % 2 === 1) return !/[\0\r\n]/.test(text);
    if (index === 0 && !trailers) return true;
    return fieldName.test(text) && !text.startsWith(':') && !connectionFields.has(text);
  });
}
