/**
 * Addresses of registries: what a host and port stand for, however they are spelled. Two addresses with the same
 * normal form are the same registry; an IP literal is only ever itself. No I/O: names are never resolved.
 */
import { domainToASCII } from 'node:url';

/** Docker Hub's names: the engine maps the first two, and the third is where it connects. */
const dockerHubNames: ReadonlySet<string> = new Set(['docker.io', 'index.docker.io', 'registry-1.docker.io']);

const hostAndPort = /^(\[[0-9a-fA-F:]+\]|[^\s:/\\@?#[\]%]+)(?::([0-9]{1,5}))?$/;

/** RFC 5952 form of an IPv6 literal in brackets, or undefined. */
function normaliseIpv6(literal: string): string | undefined {
  try {
    return new URL(`http://${literal}`).hostname;
  } catch {
    return undefined;
  }
}

function normaliseHost(text: string): string | undefined {
  if (text.startsWith('[')) return normaliseIpv6(text);
  const bare = text.endsWith('.') ? text.slice(0, -1) : text;
  // `*` and `_` are no characters of IDNA; the labels around a `*` are still normalised one by one.
  const labels = bare.split('.').map((label) => {
    if (label === '*' || /^[a-zA-Z0-9_-]+$/.test(label)) return label.toLowerCase();
    return label.includes('*') ? '' : domainToASCII(label);
  });
  if (labels.some((label) => label === '')) return undefined;
  return labels.join('.');
}

/**
 * The normal form of `host[:port]`: lower case, punycode, no trailing dot, RFC 5952 for IPv6, `docker.io` for all of
 * Docker Hub's names. The port is kept as written: `registry:443` and `registry` are two entries.
 * @returns undefined when the text is no address.
 */
export function normaliseAddress(text: string): string | undefined {
  const [, rawHost, port] = hostAndPort.exec(text) ?? [];
  if (rawHost === undefined) return undefined;
  const host = normaliseHost(rawHost);
  if (host === undefined) return undefined;
  if (port === undefined) return dockerHubNames.has(host) ? 'docker.io' : host;
  return `${host}:${port}`;
}

const ipv4 = /^[0-9.]+(?::[0-9]+)?$|^0[xX]/;

/** True for `1.2.3.4`, `1.2.3.4:5000`, `[::1]`, and the shortened and hexadecimal spellings of IPv4. */
export function isAddressLiteral(address: string): boolean {
  return address.startsWith('[') || ipv4.test(address);
}

/** A settings entry with wildcards, ready for many addresses. */
export interface AddressPattern {
  /** What follows the last wildcard: an address that matches ends with it, from a `.` or `:` on or not at all. */
  readonly tail: string;
  /** Whether an address in normal form matches. */
  matches(address: string): boolean;
}

/** The pattern of an entry in normal form that has a wildcard. */
export function addressPattern(wanted: string): AddressPattern {
  const body = wanted
    .split('*')
    .map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'))
    .join('[a-z0-9_-]+(?:\\.[a-z0-9_-]+)*');
  const pattern = new RegExp(`^${body}$`);
  return {
    tail: wanted.slice(wanted.lastIndexOf('*') + 1),
    matches: (address) => !isAddressLiteral(address) && pattern.test(address),
  };
}

/** Every tail that a pattern of an address in normal form can have. */
export function tailsOf(address: string): readonly string[] {
  return ['', ...[...address.matchAll(/[.:]/g)].map(({ index }) => address.slice(index))];
}

/**
 * Whether a settings entry (`registry.example.com`, `*.corp.example:5000`) names this address. A leading or inner `*`
 * stands for one or more whole labels, never for a part of an IP literal, and never for the port.
 * Both sides are normalised first.
 */
export function addressMatches(pattern: string, address: string): boolean {
  const wanted = normaliseAddress(pattern);
  const actual = normaliseAddress(address);
  if (wanted === undefined || actual === undefined) return false;
  return wanted.includes('*') ? addressPattern(wanted).matches(actual) : wanted === actual;
}
