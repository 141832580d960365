/**
 * The request as the engine gets it: written anew from what was judged, byte for byte. Nothing of the client's head is
 * copied but the values of fields that were checked. It must never announce another length than what is sent.
 */
import type { HeaderField } from './fields.js';

/** The body as it is sent: none, the bytes that were judged, or the client's stream with its own framing. */
export type EngineRequestBody =
  | { readonly kind: 'none' }
  | { readonly kind: 'bytes'; readonly bytes: Buffer }
  | { readonly kind: 'stream'; readonly length: number | undefined };

export interface EngineRequest {
  readonly method: string;
  /** Canonical path and query. */
  readonly target: string;
  readonly minorVersion: 0 | 1;
  /** Fields of the client that may be passed on. */
  readonly fields: readonly HeaderField[];
  readonly contentType: string | undefined;
  readonly body: EngineRequestBody;
  /** The protocol to switch to. */
  readonly upgrade: string | undefined;
  /** The client waits for the engine's `100 Continue` before it sends its body. */
  readonly expectsContinue: boolean;
  /** Its head, where it was written before. */
  readonly written?: string;
}

/** The request's head, latin1, with the empty line at its end. */
export function writeEngineHead(request: EngineRequest): string {
  const { method, body, upgrade } = request;
  // The engine never looks at Host; a fixed one can't carry anything.
  let text = `${method} ${request.target} HTTP/1.${request.minorVersion}\r\nHost: docker\r\n`;
  for (const { name, value } of request.fields) text += `${name}: ${value}\r\n`;
  if (request.contentType !== undefined) text += `Content-Type: ${request.contentType}\r\n`;
  if (body.kind === 'bytes') text += `Content-Length: ${body.bytes.length}\r\n`;
  else if (body.kind === 'stream') {
    text +=
      body.length === undefined ? 'Transfer-Encoding: chunked\r\n' : `Content-Length: ${body.length}\r\n`;
  } else if (method === 'POST' || method === 'PUT') text += 'Content-Length: 0\r\n';
  if (request.expectsContinue) text += 'Expect: 100-continue\r\n';
  if (upgrade !== undefined) text += `Connection: Upgrade\r\nUpgrade: ${upgrade}\r\n`;
  return `${text}\r\n`;
}
