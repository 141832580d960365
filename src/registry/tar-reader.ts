/**
 * Reads a tar stream as Go's archive/tar does, for the classic builder's context: which files it has, and the bytes of
 * the few that are asked for. Pushed bytes are read at once and nothing is kept but one header.
 * It takes the plain subset that docker, GNU tar and BSD tar write (V7, ustar, PAX, GNU long names). What two readers
 * could take for different files (sparse files, star's and old GNU's prefixes, odd numbers) is a TarProblem: a library
 * that reads more leniently than the engine would judge another file than the one that is built.
 * Source: golang `src/archive/tar/{reader,strconv,format}.go`.
 */

/** A stream that can't be read for sure. */
export class TarProblem extends Error {
  readonly code = 'COFFERDAM_TAR_UNSURE';
}

export interface TarEntry {
  /** The name as in the archive, long names applied. */
  readonly name: string;
  readonly type: 'file' | 'directory' | 'symbolic-link' | 'hard-link' | 'other';
  /** Bytes of content. */
  readonly size: number;
}

export interface TarListener {
  /** A new entry; true when its content is wanted. */
  entry(entry: TarEntry): boolean;
  /** A piece of the wanted entry's content. */
  content(piece: Uint8Array): void;
  /** The wanted entry is complete. */
  complete(): void;
}

const blockSize = 512;
/** Names and PAX records are short; Go allows 1 MiB. */
const metadataMax = 1024 * 1024;
const latin1 = new TextDecoder('latin1');
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function text(block: Uint8Array, start: number, length: number): string {
  const field = block.subarray(start, start + length);
  const end = field.indexOf(0);
  const bytes = end === -1 ? field : field.subarray(0, end);
  try {
    return utf8.decode(bytes);
  } catch {
    throw new TarProblem('a name is not UTF-8');
  }
}

function octal(block: Uint8Array, start: number, length: number): number {
  const field = latin1.decode(block.subarray(start, start + length)).replace(/^[ \0]+|[ \0]+$/g, '');
  if (field === '') return 0;
  if (!/^[0-7]+$/.test(field)) throw new TarProblem('a number is not plain octal');
  return Number.parseInt(field, 8);
}

/** The size may also be in base 256 (GNU), for files of 8 GiB and more. */
function sizeField(block: Uint8Array): number {
  if ((block[124] ?? 0) < 0x80) return octal(block, 124, 12);
  if (block[124] !== 0x80 || block.subarray(125, 129).some((byte) => byte !== 0)) {
    throw new TarProblem('a size is out of range');
  }
  const size = Buffer.from(block.subarray(129, 136)).readUIntBE(1, 6);
  if (block[129] !== 0) throw new TarProblem('a size is out of range');
  return size;
}

function checkSum(block: Uint8Array): void {
  let sum = 0;
  for (let index = 0; index < blockSize; index += 1) {
    sum += index >= 148 && index < 156 ? 0x20 : (block[index] ?? 0);
  }
  if (sum !== octal(block, 148, 8)) throw new TarProblem('a header has a wrong checksum');
}

/** The name of a header: with ustar's prefix; GNU's header has other fields in that place. */
function headerName(block: Uint8Array): string {
  const magic = latin1.decode(block.subarray(257, 265));
  const name = text(block, 0, 100);
  if (magic.startsWith('ustar\0')) {
    if (latin1.decode(block.subarray(508, 512)) === 'tar\0')
      throw new TarProblem('star archives are not read');
    const prefix = text(block, 345, 155);
    return prefix === '' ? name : `${prefix}/${name}`;
  }
  const afterName = block.subarray(345, 500);
  if (magic === 'ustar  \0') {
    if (afterName.some((byte) => byte !== 0)) throw new TarProblem('an old GNU header has extra fields');
    return name;
  }
  if (magic !== '\0\0\0\0\0\0\0\0') throw new TarProblem('a header is of an unknown format');
  return name;
}

const entryTypes: ReadonlyMap<string, TarEntry['type']> = new Map([
  ['0', 'file'],
  ['\0', 'file'],
  ['1', 'hard-link'],
  ['2', 'symbolic-link'],
  ['3', 'other'],
  ['4', 'other'],
  ['5', 'directory'],
  ['6', 'other'],
]);

type Metadata = 'pax' | 'pax-global' | 'long-name' | 'long-link';
const metadataTypes: ReadonlyMap<string, Metadata> = new Map([
  ['x', 'pax'],
  ['g', 'pax-global'],
  ['L', 'long-name'],
  ['K', 'long-link'],
]);

/** `LENGTH KEY=VALUE\n` records; a later key replaces an earlier one. */
function paxRecords(data: Uint8Array): ReadonlyMap<string, string> {
  const records = new Map<string, string>();
  let rest = data;
  while (rest.length > 0) {
    const space = rest.indexOf(0x20);
    const length = Number(latin1.decode(rest.subarray(0, space)));
    const record = rest.subarray(space + 1, length - 1);
    const equals = record.indexOf(0x3d);
    const whole = space > 0 && Number.isInteger(length) && length <= rest.length && rest[length - 1] === 0x0a;
    if (!whole || equals < 1) throw new TarProblem('a PAX record is malformed');
    let value: string;
    try {
      value = utf8.decode(record.subarray(equals + 1));
    } catch {
      // Extended attributes may hold any bytes; names may not.
      value = '\0';
    }
    records.set(latin1.decode(record.subarray(0, equals)), value);
    rest = rest.subarray(length);
  }
  return records;
}

type State =
  | { readonly at: 'header' }
  | { readonly at: 'zero-block' }
  | { readonly at: 'end' }
  | {
      readonly at: 'metadata';
      readonly kind: Metadata;
      readonly pieces: Uint8Array[];
      left: number;
      padding: number;
    }
  | { readonly at: 'content'; readonly wanted: boolean; left: number; padding: number };

/** Push bytes in order; the listener hears of entries as soon as they can be read. */
export class TarReader {
  readonly #listener: TarListener;
  #state: State = { at: 'header' };
  #block: Uint8Array[] = [];
  #blockLength = 0;
  #pax: ReadonlyMap<string, string> | undefined;
  #longName: string | undefined;

  constructor(listener: TarListener) {
    this.#listener = listener;
  }

  /** True once the archive's end was read: what follows is nothing to the engine. */
  get ended(): boolean {
    return this.#state.at === 'end';
  }

  /** @throws TarProblem; the reader must not be used afterwards. */
  push(bytes: Uint8Array): void {
    let rest = bytes;
    while (rest.length > 0 && this.#state.at !== 'end') rest = this.#step(rest);
  }

  /** Reads one piece and gives what follows it. */
  #step(bytes: Uint8Array): Uint8Array {
    const state = this.#state;
    if (state.at === 'content' || state.at === 'metadata') {
      const piece = bytes.subarray(0, state.left);
      if (piece.length > 0) {
        if (state.at === 'metadata') state.pieces.push(Uint8Array.from(piece));
        else if (state.wanted) this.#listener.content(piece);
        state.left -= piece.length;
      }
      const padding = state.left === 0 ? Math.min(state.padding, bytes.length - piece.length) : 0;
      state.padding -= padding;
      if (state.left === 0 && state.padding === 0) this.#finish(state);
      return bytes.subarray(piece.length + padding);
    }
    const piece = bytes.subarray(0, blockSize - this.#blockLength);
    this.#block.push(piece);
    this.#blockLength += piece.length;
    if (this.#blockLength === blockSize) {
      const block = Buffer.concat(this.#block);
      this.#block = [];
      this.#blockLength = 0;
      this.#header(block);
    } else {
      // A copy: the caller may use its buffer again.
      this.#block[this.#block.length - 1] = Uint8Array.from(piece);
    }
    return bytes.subarray(piece.length);
  }

  #header(block: Uint8Array): void {
    if (block.every((byte) => byte === 0)) {
      this.#state = { at: this.#state.at === 'zero-block' ? 'end' : 'zero-block' };
      return;
    }
    if (this.#state.at === 'zero-block') throw new TarProblem('a header follows a zero block');
    checkSum(block);
    const flag = latin1.decode(block.subarray(156, 157));
    const metadata = metadataTypes.get(flag);
    if (metadata === undefined) this.#entry(block, flag);
    else this.#metadata(metadata, sizeField(block));
  }

  #metadata(kind: Metadata, size: number): void {
    if (size > metadataMax) throw new TarProblem('a header is too long');
    headerPadding(size);
    this.#state = { at: 'metadata', kind, pieces: [], left: size, padding: headerPadding(size) };
    if (size === 0) this.#finish(this.#state);
  }

  #entry(block: Uint8Array, flag: string): void {
    const type = entryTypes.get(flag);
    if (type === undefined) throw new TarProblem(`an entry has the type ${JSON.stringify(flag)}`);
    const name = this.#name(headerName(block));
    const size = this.#size(sizeField(block));
    if (type !== 'file' && size !== 0) throw new TarProblem('an entry that is no file has content');
    this.#pax = undefined;
    this.#longName = undefined;
    // Old archives mark folders by a slash at the end of the name.
    const folder = type === 'file' && name.endsWith('/');
    if (folder && size !== 0) throw new TarProblem('a folder has content');
    const wanted = this.#listener.entry({ name, type: folder ? 'directory' : type, size });
    this.#state = { at: 'content', wanted, left: size, padding: headerPadding(size) };
    if (size === 0) this.#finish(this.#state);
  }

  #name(fromHeader: string): string {
    const fromPax = this.#pax?.get('path');
    if (fromPax !== undefined && this.#longName !== undefined)
      throw new TarProblem('an entry has two long names');
    const name = fromPax === undefined || fromPax === '' ? (this.#longName ?? fromHeader) : fromPax;
    if (name.includes('\0')) throw new TarProblem('a name has a zero byte in it');
    return name;
  }

  #size(fromHeader: number): number {
    const text = this.#pax?.get('size');
    if (text === undefined || text === '') return fromHeader;
    if (!/^[0-9]{1,15}$/.test(text)) throw new TarProblem('a size is no plain number');
    return Number(text);
  }

  #finish(state: Extract<State, { at: 'metadata' | 'content' }>): void {
    this.#state = { at: 'header' };
    if (state.at === 'content') {
      if (state.wanted) this.#listener.complete();
      return;
    }
    const data = Buffer.concat(state.pieces);
    if (state.kind === 'long-name') {
      this.#longName = text(data, 0, data.length);
    } else if (state.kind === 'pax') {
      this.#pax = paxRecords(data);
      for (const key of this.#pax.keys()) {
        if (key.startsWith('GNU.sparse')) throw new TarProblem('sparse files are not read');
      }
    } else if (state.kind === 'pax-global') {
      // Go hands global headers out as entries and doesn't apply them; readers that do would see other names.
      const records = paxRecords(data);
      for (const key of ['path', 'linkpath', 'size']) {
        if (records.has(key)) throw new TarProblem(`a global header sets ${key}`);
      }
    }
  }
}

function headerPadding(size: number): number {
  return (blockSize - (size % blockSize)) % blockSize;
}
