/**
 * Whom a client of the egress proxy wants to reach: `host:port` as Go's HTTP client writes it. Two authorities with
 * the same key are the same place. Pure.
 */
import { isIP } from 'node:net';
import { isAddressLiteral, normaliseAddress } from '../address.js';

export interface Authority {
  /** In normal form: lower case, punycode, IPv6 in brackets; Docker Hub's names keep apart. */
  readonly host: string;
  readonly port: number;
  /** `host:port`, the port always there. */
  readonly key: string;
}

/** Reads `host` or `host:port`; undefined for anything else. */
export function parseAuthority(text: string, defaultPort: number): Authority | undefined {
  const [, rawHost = '', rawPort] =
    /^(\[[0-9a-fA-F:.]+\]|[^\s:/\\@?#[\]%*]+)(?::([0-9]{1,5}))?$/.exec(text) ?? [];
  // With a port, so that Docker Hub's names aren't taken for one: they are several places.
  const normal = normaliseAddress(`${rawHost}:1`)?.replace(/:1$/, '');
  const port = rawPort === undefined ? defaultPort : Number(rawPort);
  if (normal === undefined || port < 1 || port > 65_535) return undefined;
  return { host: normal, port, key: `${normal}:${port}` };
}

/** The authority of a URL with the ports that its scheme has by itself; undefined for other schemes. */
export function authorityOf(url: string): Authority | undefined {
  if (!URL.canParse(url)) return undefined;
  const { protocol, host, username, password } = new URL(url);
  if (username !== '' || password !== '') return undefined;
  if (protocol === 'https:') return parseAuthority(host, 443);
  return protocol === 'http:' ? parseAuthority(host, 80) : undefined;
}

/** The address that an authority names by itself, without brackets; undefined for names. */
export function literalAddress({ host }: Authority): string | undefined {
  const bare = host.replace(/^\[|\]$/g, '');
  return isIP(bare) === 0 ? undefined : bare;
}

/** True for what a resolver would take for an address, in whatever spelling (`127.1`, `0x7f000001`). */
export function looksLikeAddress({ host }: Authority): boolean {
  return isAddressLiteral(host) || /^[0-9]+$/.test(host) || /(^|\.)0[xX][0-9a-fA-F]*$/.test(host);
}
