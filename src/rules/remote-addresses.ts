/**
 * The rule `remote-addresses`: what the engine fetches itself, it fetches as the host: build contexts and imports from
 * loopback, link-local and private addresses are refused, so that nobody reads the host's own services through it.
 * Names are judged as they are written; resolving them here would not bind the engine to the same answer.
 */
import { isInnerAddress } from './addresses.js';
import { findingsOf } from './finding.js';
import type { Finding, Rule } from './rule.js';

const { deny } = findingsOf('remote-addresses');

/** Contexts that come over the client's own connection. */
const ownContexts = ['', 'client-session', 'upload-request'];

export const remoteAddresses: Rule = {
  id: 'remote-addresses',
  summary:
    'Remote build contexts and imports from loopback, link-local and private addresses are refused, however the address is written.',
  setting: 'enhancedContainerIsolation.value',
  whenIsolationIsOff: 'rests',
  routes: ['image.build', 'image.pull'],
  judge: ({ route, query }) => {
    const name = route.name === 'image.build' ? 'remote' : 'fromSrc';
    return (query.get(name) ?? []).flatMap((value) => judgeAddress(`query:${name}`, value));
  },
};

function judgeAddress(field: string, value: string): readonly Finding[] {
  if (ownContexts.includes(value) || (field === 'query:fromSrc' && value === '-')) return [];
  const host = remoteHost(value);
  const remedy = 'Use an address out on the network, or send the content yourself.';
  if (host === undefined) return [deny(field, `${value} names no host that can be judged`, remedy)];
  if (!isInnerHost(host)) return [];
  return [deny(field, `the engine would fetch ${value} from the host itself or its inner network`, remedy)];
}

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

function isInnerHost(host: string): boolean {
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
