/**
 * The rule `remote-addresses`: what the engine fetches itself, it fetches as the host: build contexts and imports from
 * loopback, link-local and private addresses are refused, so that nobody reads the host's own services through it.
 * Names are judged as they are written; resolving them here would not bind the engine to the same answer. Contexts that
 * BuildKit is told of are judged with its calls (src/registry/buildkit/exchange.ts).
 */
import { isInnerHost, remoteHost } from '../registry/remote-host.js';
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
