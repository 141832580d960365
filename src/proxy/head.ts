/**
 * The head of a client's request: request line and header fields, parsed strictly (RFC 9112).
 * What isn't unambiguous is refused here, before anything else looks at it: conflicting framing is how requests are
 * smuggled past a proxy. It must never guess, and never let a request through whose length two parsers could differ on.
 */
import { ProxyError } from './errors.js';
import {
  connectionTokens,
  type HeaderField,
  hopByHop,
  isToken,
  MalformedHead,
  parseContentLength,
  parseFields,
} from './fields.js';

/** Longest head in bytes: what Go's server takes (net/http, DefaultMaxHeaderBytes). */
export const headLimit = 1 << 20;

/** How the end of a request's body is known. */
export type RequestFraming =
  | { readonly kind: 'none' }
  | { readonly kind: 'length'; readonly length: number }
  | { readonly kind: 'chunked' };

export interface RequestHead {
  readonly method: string;
  /** The origin-form target as sent: path and query, not decoded. */
  readonly target: string;
  readonly minorVersion: 0 | 1;
  readonly fields: readonly HeaderField[];
  /** The fields that may go on to the engine as they are: neither ours to write nor the connection's own. */
  readonly passed: readonly HeaderField[];
  /** The values of those, by their names in lower case; of several with one name the last. */
  readonly headers: ReadonlyMap<string, string>;
  readonly framing: RequestFraming;
  /** Whether the client wants to go on using the connection afterwards. */
  readonly keepAlive: boolean;
  /** The protocol that the client asks to switch to, in lower case. */
  readonly upgrade: string | undefined;
  /** Lower-case names that the client's Connection header declares to belong to this connection only. */
  readonly connectionNamed: readonly string[];
  /** Whether the client waits for `100 Continue` before it sends its body. */
  readonly expectsContinue: boolean;
  readonly contentType: string | undefined;
  readonly contentEncoding: string | undefined;
}

/** Fields that the proxy writes itself, from what it judged. */
const ownFields = new Set(['host', 'content-length', 'expect', 'content-type', 'trailer']);

const noBody: RequestFraming = { kind: 'none' };
const chunked: RequestFraming = { kind: 'chunked' };
const requestLine = /^([^ \r\n]+) ([^ \r\n]+) HTTP\/1\.([01])\r\n/;
const originForm = /^\/[!-"$-~]*$/;
const methods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE']);

/**
 * Parses a complete request head.
 * @param text the head as latin1, from the request line to the empty line
 * @throws ProxyError with status 400, 405, 417 or 505
 */
export function parseRequestHead(text: string): RequestHead {
  try {
    return parse(text);
  } catch (error) {
    if (error instanceof MalformedHead)
      throw new ProxyError('COFFERDAM_BAD_HEAD', `bad request: ${error.message}`);
    throw error;
  }
}

function parse(text: string): RequestHead {
  const line = requestLine.exec(text);
  if (line === null) throw badRequestLine(text);
  const [matched, method = '', target = '', minor] = line;
  if (!isToken(method)) throw new MalformedHead('malformed method');
  if (!methods.has(method)) {
    throw new ProxyError('COFFERDAM_METHOD_NOT_ALLOWED', `the method ${method} is not allowed`);
  }
  if (!originForm.test(target)) throw new MalformedHead('the request target must be a path');
  return readFields(method, target, minor === '0' ? 0 : 1, parseFields(text, matched.length));
}

function badRequestLine(text: string): Error {
  if (/^[^ \r\n]+ [^ \r\n]+ HTTP\/\d\.\d\r\n/.test(text)) {
    return new ProxyError('COFFERDAM_HTTP_VERSION', 'this HTTP version is not supported: use HTTP/1.1');
  }
  return new MalformedHead('malformed request line');
}

function readFields(
  method: string,
  target: string,
  minorVersion: 0 | 1,
  fields: readonly HeaderField[],
): RequestHead {
  let hosts = 0;
  let length: string | undefined;
  let transferEncoding: string | undefined;
  let upgrade: string | undefined;
  let expect: string | undefined;
  let contentType: string | undefined;
  let contentEncoding: string | undefined;
  let connectionNamed: string[] = [];
  for (const { key, value } of fields) {
    switch (key) {
      case 'host':
        hosts++;
        break;
      case 'content-length':
        length = once(length, value, 'Content-Length');
        break;
      case 'transfer-encoding':
        transferEncoding = once(transferEncoding, value, 'Transfer-Encoding');
        break;
      case 'upgrade':
        upgrade = once(upgrade, value.toLowerCase(), 'Upgrade');
        break;
      case 'expect':
        expect = once(expect, value.toLowerCase(), 'Expect');
        break;
      case 'content-type':
        contentType = once(contentType, value, 'Content-Type');
        break;
      case 'content-encoding':
        contentEncoding = once(contentEncoding, value, 'Content-Encoding');
        break;
      case 'connection':
        connectionNamed = [...connectionNamed, ...connectionTokens(value)];
        break;
    }
  }
  if (hosts > 1) throw new MalformedHead('several Host headers');
  if (hosts === 0 && minorVersion === 1) throw new MalformedHead('missing Host header');
  if (expect !== undefined && expect !== '100-continue') {
    throw new ProxyError('COFFERDAM_EXPECTATION_FAILED', 'unknown expectation');
  }
  const passed = fields.filter(
    ({ key }) => !ownFields.has(key) && !hopByHop.has(key) && !connectionNamed.includes(key),
  );
  return {
    method,
    target,
    minorVersion,
    fields,
    passed,
    headers: new Map(passed.map(({ key, value }) => [key, value])),
    framing: requestFraming(length, transferEncoding, minorVersion),
    keepAlive: minorVersion === 1 && !connectionNamed.includes('close'),
    upgrade: connectionNamed.includes('upgrade') ? upgrade : undefined,
    connectionNamed,
    expectsContinue: expect !== undefined && minorVersion === 1,
    contentType,
    contentEncoding,
  };
}

function once(earlier: string | undefined, value: string, name: string): string {
  if (earlier !== undefined) throw new MalformedHead(`several ${name} headers`);
  return value;
}

function requestFraming(
  length: string | undefined,
  transferEncoding: string | undefined,
  minorVersion: 0 | 1,
): RequestFraming {
  if (transferEncoding !== undefined) {
    if (length !== undefined) throw new MalformedHead('Transfer-Encoding together with Content-Length');
    if (minorVersion === 0) throw new MalformedHead('Transfer-Encoding in an HTTP/1.0 request');
    if (transferEncoding.toLowerCase() !== 'chunked')
      throw new MalformedHead('unsupported Transfer-Encoding');
    return chunked;
  }
  if (length === undefined) return noBody;
  const bytes = parseContentLength(length);
  return bytes === 0 ? noBody : { kind: 'length', length: bytes };
}
