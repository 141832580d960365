/**
 * The head parser and the chunk reader against Node's own llhttp: what we accept, llhttp reads the same way. What only
 * one of them accepts is never a difference in meaning, because whatever we refuse goes nowhere.
 */
import assert from 'node:assert/strict';
import { createServer, type IncomingMessage } from 'node:http';
import { Duplex } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseAnswerHead } from '../../src/proxy/answer-head.js';
import { ProxyError } from '../../src/proxy/errors.js';
import { MalformedHead } from '../../src/proxy/fields.js';
import { ChunkedFraming, MalformedBody } from '../../src/proxy/framing.js';
import { parseRequestHead, type RequestHead } from '../../src/proxy/head.js';

/** How many cases are tried; a long run sets more. */
const runs = Number(process.env['COFFERDAM_FUZZ_RUNS'] ?? 3000);

interface Reading {
  readonly method: string;
  readonly target: string;
  readonly fields: readonly string[];
  readonly body: string;
}

/** What llhttp, by way of Node's server, reads from bytes; undefined when it refuses them or waits for more. */
function readByLlhttp(bytes: Buffer): Promise<Reading | undefined> {
  return new Promise((resolve) => {
    const server = createServer({ insecureHTTPParser: false, joinDuplicateHeaders: false }, (request) => {
      const parts: Buffer[] = [];
      request.on('data', (part: Buffer) => parts.push(part));
      request.on('end', () => resolve(reading(request, Buffer.concat(parts))));
      request.on('error', () => resolve(undefined));
    });
    server.on('clientError', () => resolve(undefined));
    server.on('upgrade', (request) => resolve(reading(request, Buffer.alloc(0))));
    const socket = new Duplex({
      read: () => undefined,
      write: (_chunk, _encoding, done) => done(),
    });
    socket.on('error', () => undefined);
    server.emit('connection', socket);
    socket.push(bytes);
    socket.push(null);
    setImmediate(() => setImmediate(() => setImmediate(() => resolve(undefined))));
  });
}

function reading(request: IncomingMessage, body: Buffer): Reading {
  return {
    method: request.method ?? '',
    target: request.url ?? '',
    fields: request.rawHeaders,
    body: body.toString('latin1'),
  };
}

/** What we read, and how many bytes it takes; undefined when we refuse it or wait for more. */
function readByUs(bytes: Buffer): { head: RequestHead; body: string; length: number } | undefined {
  const end = bytes.indexOf('\r\n\r\n');
  if (end === -1) return undefined;
  try {
    const head = parseRequestHead(bytes.toString('latin1', 0, end + 4));
    const rest = bytes.subarray(end + 4);
    if (head.framing.kind === 'none') return { head, body: '', length: end + 4 };
    if (head.framing.kind === 'length') {
      if (rest.length < head.framing.length) return undefined;
      const { length } = head.framing;
      return { head, body: rest.toString('latin1', 0, length), length: end + 4 + length };
    }
    const framing = new ChunkedFraming({ allowTrailers: false });
    const payload: Buffer[] = [];
    const length = end + 4 + framing.advance(rest, 0, payload);
    return framing.finished ? { head, body: Buffer.concat(payload).toString('latin1'), length } : undefined;
  } catch (error) {
    if (error instanceof ProxyError || error instanceof MalformedBody) return undefined;
    throw error;
  }
}

// Pieces that are mostly right, so that many cases get past the first check, and wrong in the ways that matter.
const eol = fc.oneof(
  { weight: 20, arbitrary: fc.constant('\r\n') },
  fc.constantFrom('\n', '\r', '\r\r\n', ''),
);
const space = fc.oneof({ weight: 20, arbitrary: fc.constant(' ') }, fc.constantFrom('  ', '\t', ''));
const method = fc.constantFrom('GET', 'POST', 'HEAD', 'PUT', 'DELETE', 'get', 'CONNECT', 'G T', 'PO\0ST');
const target = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom('/', '/_ping', '/v1.45/containers/json?all=1', '/a%2fb') },
  fc.constantFrom('http://docker/', '*', '/a b', '/\xff', '/#x', ''),
);
const version = fc.oneof(
  { weight: 12, arbitrary: fc.constant('HTTP/1.1') },
  fc.constantFrom('HTTP/1.0', 'HTTP/2.0', 'http/1.1', 'HTTP/1.10'),
);
const value = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.constantFrom('x', '0', '3', 'chunked', 'close', 'keep-alive', 'docker', '', 'a, b'),
  },
  fc.constantFrom(
    'CHUNKED',
    'chunked, chunked',
    '+3',
    '3, 3',
    '03',
    '3 ',
    '0x3',
    'identity',
    'a\0b',
    'a\rb',
    'a\n b',
    '\xe4',
    '18446744073709551619',
  ),
  fc.string({
    unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)),
    maxLength: 6,
  }),
);
const name = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.constantFrom(
      'Content-Length',
      'Transfer-Encoding',
      'Connection',
      'X-Any',
      'content-length',
      'transfer-encoding',
    ),
  },
  fc.constantFrom(
    'Host',
    ' X',
    'X ',
    'Transfer-Encoding ',
    'X\t',
    '',
    'Tr\xe4nsfer',
    'Content_Length',
    'Upgrade',
    'Expect',
  ),
);
const colon = fc.oneof({ weight: 20, arbitrary: fc.constant(': ') }, fc.constantFrom(':', ' :', ':\t', ''));
const field = fc.tuple(name, colon, value, eol).map((parts) => parts.join(''));
const chunkSize = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom('3', '03', '0') },
  fc.constantFrom('3;x', '0x3', '+3', ' 3', '3 ', '', 'g', 'ffffffffffffffff3'),
);
const chunk = fc
  .tuple(chunkSize, eol, fc.constantFrom('abc', 'ab', 'abcd', ''), eol)
  .map((parts) => parts.join(''));
const body = fc.oneof(
  fc.constantFrom('', 'abc', 'abcGET / HTTP/1.1\r\n'),
  fc
    .tuple(fc.array(chunk, { maxLength: 3 }), fc.constantFrom('0\r\n\r\n', '0\r\nX: y\r\n\r\n', '0\n\n', ''))
    .map(([chunks, end]) => chunks.join('') + end),
);
const message = fc
  .tuple(method, space, target, space, version, eol, fc.array(field, { maxLength: 4 }), eol, body)
  .map(([m, s1, t, s2, v, e1, fields, e2, b]) =>
    Buffer.from(`${m}${s1}${t}${s2}${v}${e1}Host: docker\r\n${fields.join('')}${e2}${b}`, 'latin1'),
  );

describe('what the head parser accepts', () => {
  it('llhttp reads in the same way, body included', async () => {
    let compared = 0;
    await fc.assert(
      fc.asyncProperty(message, async (bytes) => {
        const ours = readByUs(bytes);
        if (ours === undefined) return;
        const exact = bytes.subarray(0, ours.length);
        const theirs = await readByLlhttp(exact);
        compared++;
        assert(theirs !== undefined, `llhttp refuses ${JSON.stringify(exact.toString('latin1'))}`);
        expect(theirs.method).toBe(ours.head.method);
        expect(theirs.target).toBe(ours.head.target);
        expect(theirs.fields).toEqual(ours.head.fields.flatMap(({ name, value }) => [name, value]));
        if (ours.head.upgrade === undefined) expect(theirs.body).toBe(ours.body);
      }),
      { numRuns: runs },
    );
    expect(compared).toBeGreaterThan(runs / 50);
  });

  it('never has two lengths, a bare line feed, or a character that isn’t allowed', () => {
    fc.assert(
      fc.property(message, (bytes) => {
        const ours = readByUs(bytes);
        if (ours === undefined) return;
        const { fields } = ours.head;
        const framings = fields.filter(({ key }) => key === 'content-length' || key === 'transfer-encoding');
        expect(framings.length).toBeLessThan(2);
        for (const { name, value } of fields) {
          expect(name).toMatch(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/);
          expect(value).toMatch(/^[\t\x20-\x7e\x80-\xff]*$/);
          expect(value).toBe(value.replace(/^[ \t]+|[ \t]+$/g, ''));
        }
      }),
      { numRuns: runs },
    );
  });
});

describe('arbitrary bytes', () => {
  const bytes = fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array));

  it('are refused or read, and nothing else happens', () => {
    fc.assert(
      fc.property(bytes, (head) => {
        const text = `${head.toString('latin1')}\r\n\r\n`;
        expect(() => parseRequestHead(text)).toThrow(ProxyError);
        try {
          parseAnswerHead(text, 'GET');
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedHead);
        }
      }),
      { numRuns: runs },
    );
  });

  it('cut anywhere, a chunked body ends at the same place with the same content', () => {
    const chunks = fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { maxLength: 6 });
    fc.assert(
      fc.property(
        chunks,
        fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 40 }),
        (parts, cuts) => {
          const content = Buffer.concat(parts.map((part) => Buffer.from(part)));
          const framed = Buffer.concat([
            ...parts.flatMap((part) => [
              Buffer.from(`${part.length.toString(16)}\r\n`),
              Buffer.from(part),
              Buffer.from('\r\n'),
            ]),
            Buffer.from('0\r\n\r\n'),
          ]);
          const sent = Buffer.concat([framed, Buffer.from('GET / HTTP/1.1\r\n\r\n')]);
          const framing = new ChunkedFraming({ allowTrailers: false });
          const payload: Buffer[] = [];
          let at = 0;
          for (let cut = 0; !framing.finished && at < sent.length; cut++) {
            const piece = sent.subarray(at, at + (cuts[cut % cuts.length] ?? 1));
            at += framing.advance(piece, 0, payload);
          }
          expect(at).toBe(framed.length);
          expect(Buffer.concat(payload).equals(content)).toBe(true);
        },
      ),
      { numRuns: Math.ceil(runs / 10) },
    );
  });
});
