/**
 * A request of the engine to a registry without TLS, in the form in which proxies get it (RFC 9112, 3.2.2): carried
 * to the address that was judged, with the answer's redirects noted. It must never carry it to another host than the
 * one in its target.
 */
import { type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { tokenAddress } from '../challenge.js';
import { type Authority, authorityOf } from './authority.js';

/** Fields of one connection, not of the request (RFC 9110, 7.6.1). */
const hopFields = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authorization',
  'proxy-authenticate',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** Where a plain request goes; undefined when its target and Host don't say the same. */
export function plainTarget({
  url = '',
  headers,
}: IncomingMessage): { authority: Authority; path: string } | undefined {
  if (!url.startsWith('http://')) return undefined;
  const authority = authorityOf(url);
  if (authority === undefined || authorityOf(`http://${headers.host ?? ''}`)?.key !== authority.key)
    return undefined;
  const { pathname, search } = new URL(url);
  return { authority, path: pathname + search };
}

export interface PlainExchange {
  readonly authority: Authority;
  readonly path: string;
  readonly server: Socket;
  /** Places (authority keys) that the answer sends its client to. */
  readonly onPlaces: (places: readonly string[]) => void;
}

/** Sends the request and streams the answer back. */
export function carryPlain(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  exchange: PlainExchange,
): void {
  const { authority, path, server, onPlaces } = exchange;
  const asked = request({
    createConnection: () => server,
    method: incoming.method,
    path,
    headers: endToEnd(incoming.rawHeaders),
    setHost: false,
  });
  asked.on('response', (answer) => {
    onPlaces(placesIn(answer, `http://${authority.key}${path}`));
    outgoing.writeHead(answer.statusCode ?? 502, endToEnd(answer.rawHeaders));
    answer.pipe(outgoing);
    answer.on('error', () => outgoing.destroy());
  });
  asked.on('error', () => {
    if (outgoing.headersSent) outgoing.destroy();
    else outgoing.writeHead(502).end();
  });
  outgoing.on('close', () => server.destroy());
  incoming.pipe(asked);
}

function endToEnd(rawHeaders: readonly string[]): Record<string, string[]> {
  const fields: Record<string, string[]> = {};
  const named = new Set(hopFields);
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const [name = '', value = ''] = rawHeaders.slice(at, at + 2);
    if (name.toLowerCase() === 'connection') {
      for (const option of value.split(',')) named.add(option.trim().toLowerCase());
    }
  }
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const [name = '', value = ''] = rawHeaders.slice(at, at + 2);
    if (!named.has(name.toLowerCase())) fields[name] = [...(fields[name] ?? []), value];
  }
  return fields;
}

function placesIn({ statusCode = 0, headers }: IncomingMessage, base: string): readonly string[] {
  const challenge = headers['www-authenticate'];
  const named = [
    statusCode >= 300 &&
    statusCode < 400 &&
    headers.location !== undefined &&
    URL.canParse(headers.location, base)
      ? new URL(headers.location, base).href
      : undefined,
    statusCode === 401 && challenge !== undefined ? tokenAddress(challenge)?.href : undefined,
  ];
  return named.flatMap((url) => (url === undefined ? [] : (authorityOf(url)?.key ?? [])));
}
