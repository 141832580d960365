/** Header blocks of HTTP/2, against the examples of RFC 7541. */
import { describe, expect, it } from 'vitest';
import { FieldReader, wellFormedAnswer, writeFields } from '../../src/proxy/hpack.js';
import { MalformedBlock, readInteger, readLiteral, textOf } from '../../src/proxy/hpack-text.js';

/** RFC 7541, appendix C.4 and C.6: strings as an independent encoder wrote them. */
const strings = [
  ['f1e3c2e5f23a6ba0ab90f4ff', 'www.example.com'],
  ['a8eb10649cbf', 'no-cache'],
  ['25a849e95ba97d7f', 'custom-key'],
  ['6402', '302'],
  ['d07abe941054d444a8200595040b8166e082a62d1bff', 'Mon, 21 Oct 2013 20:13:21 GMT'],
  ['9d29ad171863c78f0b97c8e9ae82ae43d3', 'https://www.example.com'],
  [
    '94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007',
    'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1',
  ],
] as const;

describe('a string literal', () => {
  it.each(strings)('%s', (coded, text) => {
    const block = Buffer.from(coded, 'hex');
    expect(textOf(block, { huffman: true, start: 0, end: block.length })).toBe(text);
  });

  it('may be longer than its prefix can say', () => {
    expect(readInteger(Buffer.from([31, 154, 10]), 0, 5)).toEqual([1337, 3]);
    const block = Buffer.from([127, 1, ...Buffer.alloc(128, 'x')]);
    expect(readLiteral(block, 0)).toEqual({ huffman: false, start: 2, end: 130 });
  });

  it.each([
    ['cut off in its length', [255, 128]],
    ['with a length beyond all blocks', [127, 255, 255, 255, 255, 255, 255]],
    ['cut off', [10, 120]],
  ])('%s is refused', (_name, bytes) => {
    expect(() => readLiteral(Buffer.from(bytes), 0)).toThrow(MalformedBlock);
  });
});

/** RFC 7541, appendix C.6: three answers on one connection, coded, with indexing; C.5 says the same uncoded. */
const answers: readonly (readonly [block: string, fields: readonly string[]])[] = [
  [
    '488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3',
    [
      ...[':status', '302', 'cache-control', 'private', 'date', 'Mon, 21 Oct 2013 20:13:21 GMT'],
      ...['location', 'https://www.example.com'],
    ],
  ],
  [
    '4883640effc1c0bf',
    [
      ...[':status', '307', 'cache-control', 'private', 'date', 'Mon, 21 Oct 2013 20:13:21 GMT'],
      ...['location', 'https://www.example.com'],
    ],
  ],
  [
    '88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007',
    [
      ...[':status', '200', 'cache-control', 'private', 'date', 'Mon, 21 Oct 2013 20:13:22 GMT'],
      ...['location', 'https://www.example.com', 'content-encoding', 'gzip'],
      ...['set-cookie', 'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1'],
    ],
  ],
];

const block = (hex: string): Buffer => Buffer.from(hex, 'hex');

describe('a header block', () => {
  it('is read with the table that those before it filled', () => {
    const reader = new FieldReader();
    for (const [hex, fields] of answers) expect(reader.read(block(hex))).toEqual(fields);
  });

  it('may make the table smaller, which forgets its oldest entries', () => {
    const reader = new FieldReader();
    reader.read(block('4001610162400163016440016501664001670168'));
    // Four entries of 34 bytes; two have room in 68.
    expect(reader.read(block('3f25bebf'))).toEqual(['g', 'h', 'e', 'f']);
    expect(() => reader.read(block('c0'))).toThrow('not in the table');
  });

  it('with an entry larger than the table empties it', () => {
    const reader = new FieldReader();
    const large = Buffer.concat([block('400161'), block('7fa11f'), Buffer.alloc(4128, 'x')]);
    reader.read(block('4001620163'));
    expect(reader.read(large)).toEqual(['a', 'x'.repeat(4128)]);
    expect(() => reader.read(block('be'))).toThrow('not in the table');
  });

  it.each([
    ['an entry that was never there', 'be'],
    ['the entry 0', '80'],
    ['a name cut off', '000261'],
    ['a value cut off', '0001610262'],
    ['an index cut off', 'ff'],
    ['a larger table than was agreed on', '3fe21f'],
    ['a change of the table behind a field', '8820'],
  ])('with %s is refused', (_name, hex) => {
    expect(() => new FieldReader().read(block(hex))).toThrow(MalformedBlock);
  });

  it('that was written reads as it was, values of any length included', () => {
    const long = 'äx'.repeat(100_000);
    const fields = [':status', '200', 'a', '', 'b', 'x'.repeat(126), 'b', 'x'.repeat(127), 'c-bin', long];
    expect(new FieldReader().read(writeFields(fields))).toEqual(fields);
  });
});

describe('the fields of an answer', () => {
  it.each([
    ['an answer', [':status', '200', 'content-type', 'application/grpc'], false],
    ['trailers', ['grpc-status', '0', 'x-bin', 'a, b'], true],
    ['no trailers', [], true],
  ])('are well-formed: %s', (_name, fields, trailers) => {
    expect(wellFormedAnswer(fields, trailers)).toBe(true);
  });

  it.each([
    ['an answer without a status', ['a', 'b'], false],
    ['no fields at all', [], false],
    ['a status that is none', [':status', '2000'], false],
    ['two statuses', [':status', '200', ':status', '200'], false],
    ['a status among trailers', [':status', '200'], true],
    ['another pseudo-field', [':status', '200', ':path', '/'], false],
    ['a name in upper case', [':status', '200', 'A', 'b'], false],
    ['a name with a space', [':status', '200', 'a b', 'b'], false],
    ['an empty name', [':status', '200', '', 'b'], false],
    ['a line break', [':status', '200', 'a', 'b\nc'], false],
    ['a NUL', ['a', 'b\0c'], true],
    ['a field of a connection', [':status', '200', 'transfer-encoding', 'chunked'], false],
  ])('are not: %s', (_name, fields, trailers) => {
    expect(wellFormedAnswer(fields, trailers)).toBe(false);
  });
});
