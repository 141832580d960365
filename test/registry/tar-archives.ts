/** Makes tar archives for tests, block by block: also ones that no tool would write. */

export interface TarSpec {
  readonly name: string;
  readonly content?: string | Buffer;
  readonly type?: string;
  readonly linkName?: string;
  /** Overrides the header's size field. */
  readonly size?: string;
  readonly magic?: string;
  readonly prefix?: string;
}

function field(header: Buffer, offset: number, length: number, text: string): void {
  header.write(text.slice(0, length), offset, 'latin1');
}

/** One header block. */
export function tarHeader(spec: TarSpec, size: number): Buffer {
  const header = Buffer.alloc(512);
  header.write(spec.name, 0, 100, 'utf8');
  field(header, 100, 8, '0000644\0');
  field(header, 108, 8, '0000000\0');
  field(header, 116, 8, '0000000\0');
  field(header, 124, 12, spec.size ?? `${size.toString(8).padStart(11, '0')}\0`);
  field(header, 136, 12, '00000000000\0');
  field(header, 148, 8, '        ');
  field(header, 156, 1, spec.type ?? '0');
  field(header, 157, 100, spec.linkName ?? '');
  field(header, 257, 8, spec.magic ?? 'ustar\x0000');
  field(header, 345, 155, spec.prefix ?? '');
  const sum = header.reduce((total, byte) => total + byte, 0);
  field(header, 148, 8, `${sum.toString(8).padStart(6, '0')}\0 `);
  return header;
}

/** An entry with its content, padded. */
export function tarEntry(spec: TarSpec): Buffer {
  const content = Buffer.from(spec.content ?? '');
  const padding = Buffer.alloc((512 - (content.length % 512)) % 512);
  return Buffer.concat([tarHeader(spec, content.length), content, padding]);
}

/** A PAX header with these records, to stand before an entry. */
export function paxHeader(records: Readonly<Record<string, string>>, type = 'x'): Buffer {
  const lines = Object.entries(records).map(([key, value]) => {
    const rest = ` ${key}=${value}\n`;
    let length = rest.length;
    while (`${length}${rest}`.length !== length) length = `${length}${rest}`.length;
    return `${length}${rest}`;
  });
  return tarEntry({ name: 'pax', type, content: lines.join('') });
}

/** A whole archive. */
export function tarArchive(...parts: readonly (TarSpec | Buffer)[]): Buffer {
  const entries = parts.map((part) => (Buffer.isBuffer(part) ? part : tarEntry(part)));
  return Buffer.concat([...entries, Buffer.alloc(1024)]);
}
