/**
 * HTTP/2 with prior knowledge on a client's connection: recognised by the preface, before which no request can have
 * been. Engines that serve it do so for BuildKit's gRPC, as on an upgraded `POST /grpc`; so the connection as a whole is
 * judged as that request. It must never take anything but the exact preface for one.
 */
import type { RequestHead } from './head.js';

/** What a client begins with (RFC 9113, section 3.4). */
const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

/** Where the preface ends for a parser of HTTP/1 heads. */
const headBytes = preface.indexOf('\r\n\r\n') + 4;

/**
 * Whether a connection begins with the preface.
 * @param bytes everything that came, with at least one complete head of HTTP/1
 * @returns `incomplete` while the rest of the preface may still come
 */
export function readPreface(bytes: Buffer): 'complete' | 'incomplete' | 'none' {
  const compared = Math.min(bytes.length, preface.length);
  if (compared < headBytes || bytes.compare(preface, 0, compared, 0, compared) !== 0) return 'none';
  return compared === preface.length ? 'complete' : 'incomplete';
}

/** The request that stands for such a connection in every phase. */
export const priorKnowledge: RequestHead = {
  method: 'POST',
  target: '/grpc',
  minorVersion: 1,
  fields: [],
  passed: [],
  headers: new Map(),
  framing: { kind: 'none' },
  keepAlive: false,
  upgrade: 'h2c',
  connectionNamed: [],
  expectsContinue: false,
  contentType: undefined,
  contentEncoding: undefined,
};
