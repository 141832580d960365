/**
 * The head of an answer of the engine: status line and header fields, and how the end of its body is known
 * (RFC 9112, section 6.3). An answer that isn't unambiguous must never reach a client: it could be read as two.
 */
import { type HeaderField, hopByHop, MalformedHead, parseContentLength, parseFields } from './fields.js';

export type AnswerFraming =
  | { readonly kind: 'none' }
  | { readonly kind: 'length'; readonly length: number }
  | { readonly kind: 'chunked' }
  | { readonly kind: 'until-close' };

export interface AnswerHead {
  readonly status: number;
  /** Code and reason phrase as the engine wrote them. */
  readonly statusText: string;
  readonly fields: readonly HeaderField[];
  readonly framing: AnswerFraming;
  /** Whether the engine's connection can carry another request afterwards. */
  readonly keepAlive: boolean;
  /** True when fields that belong to the engine's connection stand among `fields`. */
  readonly hasHopByHop: boolean;
  readonly contentType: string | undefined;
}

const statusLine = /^HTTP\/1\.([01]) (([1-9]\d\d)(?: [\t -~\x80-\xff]*)?)\r\n/;
const noBody: AnswerFraming = { kind: 'none' };
const chunked: AnswerFraming = { kind: 'chunked' };
const untilClose: AnswerFraming = { kind: 'until-close' };

/**
 * Parses a complete answer head.
 * @param text the head as latin1, from the status line to the empty line
 * @param method the request's method: an answer to HEAD has no body
 * @throws MalformedHead
 */
export function parseAnswerHead(text: string, method: string): AnswerHead {
  const line = statusLine.exec(text);
  if (line === null) throw new MalformedHead('malformed status line');
  const [matched, minor, statusText = '', code] = line;
  const status = Number(code);
  const fields = parseFields(text, matched.length);
  let length: number | undefined;
  let transferEncoding: string | undefined;
  let contentType: string | undefined;
  let connection = '';
  let hasHopByHop = false;
  for (const { key, value } of fields) {
    if (key === 'content-length') {
      if (length !== undefined) throw new MalformedHead('several Content-Length headers');
      length = parseContentLength(value);
    } else if (key === 'transfer-encoding') {
      if (transferEncoding !== undefined) throw new MalformedHead('several Transfer-Encoding headers');
      transferEncoding = value.toLowerCase();
    } else if (key === 'content-type') contentType = value;
    else if (hopByHop.has(key)) {
      hasHopByHop = true;
      if (key === 'connection') connection = `${connection},${value.toLowerCase()}`;
    }
  }
  const framing = answerFraming(status, method, length, transferEncoding);
  const closes = connection.includes('close') || minor === '0' || framing.kind === 'until-close';
  return { status, statusText, fields, framing, keepAlive: !closes, hasHopByHop, contentType };
}

function answerFraming(
  status: number,
  method: string,
  length: number | undefined,
  transferEncoding: string | undefined,
): AnswerFraming {
  if (transferEncoding !== undefined) {
    if (length !== undefined) throw new MalformedHead('Transfer-Encoding together with Content-Length');
    if (transferEncoding !== 'chunked') throw new MalformedHead('unsupported Transfer-Encoding');
  }
  if (method === 'HEAD' || status < 200 || status === 204 || status === 304) return noBody;
  if (transferEncoding !== undefined) return chunked;
  if (length !== undefined) return length === 0 ? noBody : { kind: 'length', length };
  return untilClose;
}

/**
 * The head as the client gets it: without what belongs to the engine's connection, and saying how ours goes on.
 * @param connection the value of our own Connection header, if there is to be one
 */
export function writeAnswerHead(head: AnswerHead, connection: string | undefined): string {
  let text = `HTTP/1.1 ${head.statusText}\r\n`;
  for (const { name, key, value } of head.fields) {
    if (!hopByHop.has(key) || key === 'transfer-encoding') text += `${name}: ${value}\r\n`;
  }
  if (connection !== undefined) text += `Connection: ${connection}\r\n`;
  return `${text}\r\n`;
}

/** An answer's head with another length of its body. */
export function withLength(head: AnswerHead, length: number): AnswerHead {
  const fields = head.fields.map((field) =>
    field.key === 'content-length' ? { ...field, value: String(length) } : field,
  );
  return { ...head, fields };
}

/** An answer with another content: its head, and its body in the framing that it had. */
export function withContent(head: AnswerHead, content: Buffer): [head: AnswerHead, body: Buffer] {
  switch (head.framing.kind) {
    case 'length':
      return [withLength(head, content.length), content];
    case 'chunked': {
      const size = Buffer.from(`${content.length.toString(16)}\r\n`);
      const end = Buffer.from(content.length === 0 ? '\r\n' : '\r\n0\r\n\r\n');
      return [head, Buffer.concat([size, content, end])];
    }
    case 'none':
    case 'until-close':
      return [head, content];
  }
}
