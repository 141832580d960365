/**
 * The host that an address leads to, however it is written: what the engine would fetch a build's context or an image's
 * content from. No I/O: names are never resolved.
 */
import { isInnerAddress } from './address-blocks.js';

/**
 * The host of a URL, of Git's `user@host:path`, or of an address without scheme, in the form that resolvers make of it:
 * `2130706433`, `0x7f.1` and `127.1` are all 127.0.0.1.
 */
export function remoteHost(value: string): string | undefined {
  const text = value.trim();
  const scheme = /^([a-zA-Z][a-zA-Z0-9+.-]*):\/\//.exec(text);
  const secureShell = scheme === null && /^[^/@:]+@([^:/]+):/.exec(text);
  const rest = secureShell ? secureShell[1] : scheme === null ? text : text.slice(scheme[0].length);
  try {
    // The parser reads the odd spellings of IPv4 addresses for http alone.
    const { hostname } = new URL(`http://${rest}`);
    return hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');
  } catch {
    return undefined;
  }
}

/** True for a host that is this one, or on its inner networks, by its address or its name. */
export function isInnerHost(host: string): boolean {
  return (
    isInnerAddress(host) ||
    [
      'localhost',
      'ip6-localhost',
      'ip6-loopback',
      'host.docker.internal',
      'gateway.docker.internal',
    ].includes(host) ||
    ['.localhost', '.internal', '.localdomain'].some((suffix) => host.endsWith(suffix))
  );
}
