/** Header fields that are longer than Node's HTTP/2 can read, taken out of the engine's bytes and put back. */
import { connect as connectHttp2, performServerHandshake, type ServerHttp2Stream } from 'node:http2';
import { describe, expect, it } from 'vitest';
import { MalformedBlock, readInteger, readLiteral, textOf } from '../../src/proxy/hpack-text.js';
import { LongFields, shortened } from '../../src/proxy/long-fields.js';
import { readAccepted, SocketReader } from '../../src/proxy/socket-reader.js';
import { socketPair } from '../../src/system/socket-pair.js';

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

const characters = Array.from({ length: 95 }, (_, index) => String.fromCharCode(32 + index)).join('');
const long = `x${characters.repeat(2500)}x`;

/** What a client on the shortened connection gets of an answer with these trailers, twice on one session. */
async function trailersThrough(trailers: Record<string, string | string[]>): Promise<string[][]> {
  const [near, far] = socketPair();
  const session = performServerHandshake(far, { maxSendHeaderBlockLength: 1 << 24 });
  session.on('stream', (stream: ServerHttp2Stream) => {
    stream.respond({ ':status': 200 }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers(trailers));
    stream.end('body');
  });
  const fields = new LongFields();
  const reader = new SocketReader({ take: () => undefined, holdsNothing: true });
  const socket = readAccepted(near, reader, 65_536);
  const read = shortened({ socket, reader, early: undefined, ended: false }, fields);
  const client = connectHttp2('http://docker', { createConnection: () => read });
  const ask = () =>
    new Promise<string[]>((resolve, reject) => {
      const stream = client.request({ ':path': '/' });
      stream.on('trailers', (_headers, _flags, raw: string[]) => {
        resolve(raw.map((text) => fields.original(text)));
      });
      stream.on('error', reject);
      stream.resume();
    });
  try {
    return [await ask(), await ask()];
  } finally {
    client.destroy();
    session.destroy();
  }
}

describe('trailers', () => {
  it('of any length arrive as they were sent, and those after them too', async () => {
    const sent = { 'grpc-status': '2', 'grpc-status-details-bin': long, 'grpc-message': 'broken' };
    const expected = Object.entries(sent).flat();
    expect(await trailersThrough(sent)).toEqual([expected, expected]);
  });

  it('with several long values, and short ones of the same name', async () => {
    const sent = { a: [long, 'short', `${long}2`], b: 'other' };
    const expected = ['a', long, 'a', 'short', 'a', `${long}2`, 'b', 'other'];
    expect(await trailersThrough(sent)).toEqual([expected, expected]);
  });
});

describe('bytes', () => {
  const frame = (type: number, flags: number, content: Buffer, stream = 1): Buffer => {
    const head = Buffer.alloc(9);
    head.writeUIntBE(content.length, 0, 3);
    head.writeUInt8(type, 3);
    head.writeUInt8(flags, 4);
    head.writeUInt32BE(stream, 5);
    return Buffer.concat([head, content]);
  };
  const short = [
    frame(4, 0, Buffer.alloc(0), 0),
    frame(1, 4, Buffer.from([0x88])),
    frame(0, 0, Buffer.alloc(10_000, 'data')),
    frame(1, 1, Buffer.from([0x00, 1, 97])),
    frame(9, 4, Buffer.from([1, 98])),
  ];

  it('without long fields stay as they are, however they are cut', () => {
    const bytes = Buffer.concat(short);
    for (const size of [1, 7, 9, 10, 1000, bytes.length]) {
      const fields = new LongFields();
      const out: Buffer[] = [];
      for (let at = 0; at < bytes.length; at += size) out.push(...fields.push(bytes.subarray(at, at + size)));
      const joined = [...short.slice(0, 3), frame(1, 5, Buffer.from([0x00, 1, 97, 1, 98]))];
      expect(Buffer.concat(out).equals(Buffer.concat(joined))).toBe(true);
    }
  });

  it.each([
    ['a continuation of nothing', 'broken', [frame(9, 4, Buffer.from([0x88]))]],
    [
      'a continuation of another stream',
      'broken',
      [frame(1, 0, Buffer.from([0x88])), frame(9, 4, Buffer.alloc(0), 3)],
    ],
    [
      'a field cut off',
      'ends within a string',
      [frame(1, 0, Buffer.from([0x00, 1])), frame(9, 4, Buffer.alloc(0))],
    ],
    [
      'a long field that is to stand in the table',
      'longer than its table',
      [
        frame(1, 0, Buffer.concat([Buffer.from([0x40, 1, 97, 127, 0xe9, 0x80, 2]), Buffer.alloc(16_000)])),
        frame(9, 0, Buffer.alloc(16_384)),
        frame(9, 4, Buffer.alloc(616)),
      ],
    ],
  ])('with %s are refused', (_name, reason, frames) => {
    expect(() => new LongFields().push(Buffer.concat(frames))).toThrow(reason);
  });
});
