/** Requests that two parsers could read differently: refused, and nothing of them reaches the engine. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { messageOf, RawClient, statusOf } from './raw-client.js';
import { answering, ok, type ScriptedEngine, startScriptedEngine } from './scripted-engine.js';
import { startTestProxy, type TestProxy } from './start.js';

let engine: ScriptedEngine;
let proxy: TestProxy;

beforeAll(async () => {
  engine = await startScriptedEngine(answering(ok()));
  proxy = await startTestProxy(engine.socket);
});

afterAll(async () => {
  await proxy.stop();
  await engine.stop();
});

const host = 'Host: docker\r\n';
const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: docker\r\n\r\n';
const start = 'POST /v1.45/containers/web/start HTTP/1.1\r\n';

const refused: readonly (readonly [name: string, request: string, status: number])[] = [
  [
    'Transfer-Encoding with Content-Length',
    `${start}${host}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`,
    400,
  ],
  [
    'Content-Length before Transfer-Encoding in other cases',
    `${start}${host}transfer-ENCODING: chunked\r\nCONTENT-length: 5\r\n\r\n0\r\n\r\n`,
    400,
  ],
  ['two equal Content-Lengths', `${start}${host}Content-Length: 0\r\nContent-Length: 0\r\n\r\n`, 400],
  [
    'two different Content-Lengths',
    `${start}${host}Content-Length: 0\r\nContent-Length: 44\r\n\r\n${smuggled}`,
    400,
  ],
  ['a list of Content-Lengths', `${start}${host}Content-Length: 0, 0\r\n\r\n`, 400],
  ['a signed Content-Length', `${start}${host}Content-Length: +0\r\n\r\n`, 400],
  ['a negative Content-Length', `${start}${host}Content-Length: -1\r\n\r\n`, 400],
  ['a hexadecimal Content-Length', `${start}${host}Content-Length: 0x10\r\n\r\n`, 400],
  ['an empty Content-Length', `${start}${host}Content-Length:\r\n\r\n`, 400],
  ['an overlong Content-Length', `${start}${host}Content-Length: 18446744073709551616\r\n\r\n`, 400],
  [
    'two Transfer-Encodings',
    `${start}${host}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    400,
  ],
  ['Transfer-Encoding: identity', `${start}${host}Transfer-Encoding: identity\r\n\r\n`, 400],
  [
    'Transfer-Encoding: gzip, chunked',
    `${start}${host}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`,
    400,
  ],
  ['Transfer-Encoding: xchunked', `${start}${host}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`, 400],
  [
    'Transfer-Encoding with a vertical tab',
    `${start}${host}Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n`,
    400,
  ],
  [
    'Transfer-Encoding behind a space in the name',
    `${start}${host}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n`,
    400,
  ],
  [
    'Transfer-Encoding in an HTTP/1.0 request',
    `POST /v1.45/containers/web/start HTTP/1.0\r\n${host}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    400,
  ],
  ['an obs-fold', `${start}${host}Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n`, 400],
  ['a folded first field', `${start} X: y\r\n${host}\r\n`, 400],
  ['bare line feeds', 'GET /_ping HTTP/1.1\nHost: docker\n\n', 400],
  ['a bare line feed in a field', `GET /_ping HTTP/1.1\r\n${host}X: a\nY: b\r\n\r\n`, 400],
  ['a bare line feed at the end of the head', `GET /_ping HTTP/1.1\r\n${host}\n`, 400],
  ['a bare carriage return in a field', `GET /_ping HTTP/1.1\r\n${host}X: a\rY: b\r\n\r\n`, 400],
  ['a NUL in a field', `GET /_ping HTTP/1.1\r\n${host}X: a\0b\r\n\r\n`, 400],
  ['a control character in a name', `GET /_ping HTTP/1.1\r\n${host}X\x01: a\r\n\r\n`, 400],
  ['a field without a colon', `GET /_ping HTTP/1.1\r\n${host}nonsense\r\n\r\n`, 400],
  ['a field without a name', `GET /_ping HTTP/1.1\r\n${host}: x\r\n\r\n`, 400],
  ['no Host', 'GET /_ping HTTP/1.1\r\n\r\n', 400],
  ['two Hosts', `GET /_ping HTTP/1.1\r\n${host}${host}\r\n`, 400],
  ['an empty line before the request', `\r\nGET /_ping HTTP/1.1\r\n${host}\r\n`, 400],
  ['two spaces in the request line', `GET  /_ping HTTP/1.1\r\n${host}\r\n`, 400],
  ['a tab in the request line', `GET\t/_ping HTTP/1.1\r\n${host}\r\n`, 400],
  ['an absolute-form target', `GET http://docker/_ping HTTP/1.1\r\n${host}\r\n`, 400],
  ['an authority-form target', `GET docker:80 HTTP/1.1\r\n${host}\r\n`, 400],
  ['an asterisk target', `GET * HTTP/1.1\r\n${host}\r\n`, 400],
  ['a fragment in the target', `GET /_ping#x HTTP/1.1\r\n${host}\r\n`, 400],
  ['a byte above ASCII in the target', `GET /\xe4 HTTP/1.1\r\n${host}\r\n`, 400],
  ['CONNECT', `CONNECT docker:80 HTTP/1.1\r\n${host}\r\n`, 405],
  ['TRACE', `TRACE /_ping HTTP/1.1\r\n${host}\r\n`, 405],
  ['OPTIONS', `OPTIONS /_ping HTTP/1.1\r\n${host}\r\n`, 405],
  ['PATCH', `PATCH /_ping HTTP/1.1\r\n${host}\r\n`, 405],
  ['a lower-case method', `get /_ping HTTP/1.1\r\n${host}\r\n`, 405],
  ['a method that is no token', `G@T /_ping HTTP/1.1\r\n${host}\r\n`, 400],
  ['HTTP/0.9', 'GET /_ping\r\n\r\n', 400],
  ['HTTP/2.0 in the request line', `GET /_ping HTTP/2.0\r\n${host}\r\n`, 505],
  [
    'a preface of HTTP/2 that goes on in another way',
    `PRI * HTTP/2.0\r\n\r\nSM /_ping HTTP/1.1\r\n\r\n`,
    505,
  ],
  ['half a preface of HTTP/2 and a request', `PRI * HTTP/2.0\r\n\r\nGET /_ping HTTP/1.1\r\n${host}\r\n`, 505],
  ['a lower-case protocol', `GET /_ping http/1.1\r\n${host}\r\n`, 400],
  ['an oversize head', `GET /_ping HTTP/1.1\r\n${host}X: ${'x'.repeat(1 << 20)}\r\n\r\n`, 431],
  ['an unknown expectation', `${start}${host}Expect: magic\r\nContent-Length: 2\r\n\r\n`, 417],
  [
    'an urlencoded body',
    `${start}${host}Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 3\r\n\r\na=b`,
    400,
  ],
  [
    'a multipart body',
    `${start}${host}Content-Type: Multipart/form-data; boundary=x\r\nContent-Length: 3\r\n\r\n--x`,
    400,
  ],
  [
    'a Content-Encoding on a body that is read',
    `${start}${host}Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nxyz`,
    415,
  ],
];

describe.each(refused)('%s', (_name, request, status) => {
  it(`is answered ${status} in Docker's JSON, and the engine gets nothing`, async () => {
    const before = engine.text.length;
    const client = new RawClient(proxy.socket).send(request);
    const { text: answer } = await client.untilText('}\n');
    expect(statusOf(answer)).toBe(status);
    expect(messageOf(answer)).not.toBe('');
    expect(answer.match(/HTTP\/1\.1 \d{3} /g)).toHaveLength(1);
    expect(engine.text.length).toBe(before);
    client.close();
  });
});

const load = `POST /v1.45/images/load HTTP/1.1\r\n${host}Content-Type: application/x-tar\r\nTransfer-Encoding: chunked\r\n\r\n`;
const brokenChunks: readonly (readonly [name: string, body: string])[] = [
  ['a chunk extension', '1;x=y\r\na\r\n0\r\n\r\n'],
  ['a space behind the chunk size', '1 \r\na\r\n0\r\n\r\n'],
  ['a hexadecimal prefix', '0x1\r\na\r\n0\r\n\r\n'],
  ['a signed chunk size', '+1\r\na\r\n0\r\n\r\n'],
  ['a chunk size of too many digits', '00000000000001\r\na\r\n0\r\n\r\n'],
  ['a bare line feed behind the chunk size', '1\na\r\n0\r\n\r\n'],
  ['a chunk longer than its size', '1\r\nab\r\n0\r\n\r\n'],
  ['a chunk without its end', '1\r\na0\r\n\r\n'],
  ['a trailer', `0\r\nX: y\r\n\r\n${smuggled}`],
  ['a framing trailer', `0\r\nContent-Length: 44\r\n\r\n${smuggled}`],
];

describe.each(brokenChunks)('a chunked body with %s', (_name, body) => {
  it('is answered 400, and the engine never sees its end or what follows', async () => {
    const client = new RawClient(proxy.socket).send(load + body);
    const answer = await client.untilEnd();
    expect(statusOf(answer)).toBe(400);
    expect(messageOf(answer)).toContain('bad request body');
    expect(engine.text).not.toContain('smuggled');
    client.close();
  });
});
