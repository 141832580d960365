/**
 * The rule `build-options`: what a build asks of the host besides its limits. RUN steps get networks of their own, and
 * nobody redirects the names of the registries that the settings trust.
 */
import { findingsOf } from './finding.js';
import type { Finding, JudgedRequest, Need, Rule } from './rule.js';

const { deny } = findingsOf('build-options');
const joins = 'container:';

export const buildOptions: Rule = {
  id: 'build-options',
  summary:
    'Builds may not use the host’s network, the network of a container that isn’t isolated, foreign isolation technologies, or extra hosts that redirect a listed registry.',
  setting: 'enhancedContainerIsolation.value',
  whenIsolationIsOff: 'rests',
  routes: ['image.build'],
  needs: (request) => {
    const ref = joinedContainer(request);
    return ref === undefined ? [] : [{ kind: 'container', ref } satisfies Need];
  },
  judge: (request, facts) => {
    const reference = joinedContainer(request);
    return [
      ...judgeNetwork(request),
      ...(reference === undefined ? [] : judgeJoined(reference, facts.container(reference))),
      ...judgeExtraHosts(request),
      ...judgeIsolation(request),
    ];
  },
};

function first(request: JudgedRequest, name: string): string {
  return request.query.get(name)?.[0] ?? '';
}

function joinedContainer(request: JudgedRequest): string | undefined {
  const mode = first(request, 'networkmode');
  return mode.startsWith(joins) && mode.length > joins.length ? mode.slice(joins.length) : undefined;
}

function judgeNetwork(request: JudgedRequest): readonly Finding[] {
  if (first(request, 'networkmode').toLowerCase() !== 'host') return [];
  const reason = "building on the host's network is refused: the entitlement network.host is not allowed";
  return [deny('query:networkmode', reason, 'Leave out --network host.')];
}

function judgeJoined(
  reference: string,
  found: { readonly id: string; readonly isolated: boolean } | undefined,
): readonly Finding[] {
  const field = 'query:networkmode';
  if (found?.isolated !== true) {
    const reason = `the network of ${reference} is refused: no such container is isolated`;
    return [deny(field, reason, 'Use a network, or a container that is isolated.')];
  }
  const value = joins + found.id;
  return [
    { kind: 'set-query', rule: 'build-options', name: 'networkmode', value, reason: 'named by its full id' },
  ];
}

/** `NAME:ADDRESS`, or `NAME=ADDRESS` in newer clients; several in one value are separated by commas or blanks. */
function judgeExtraHosts(request: JudgedRequest): readonly Finding[] {
  const trusted = new Set(
    ['docker.io', ...request.settings.registryAccess.registries.map(({ address }) => address)].map(hostOf),
  );
  const names = (request.query.get('extrahosts') ?? [])
    .flatMap((value) => value.split(/[\s,]+/))
    .map((entry) => entry.split(/[:=]/, 1)[0]?.toLowerCase() ?? '');
  return names
    .filter((name) => trusted.has(name) || name.endsWith('.docker.io'))
    .map((name) =>
      deny('query:extrahosts', `redirecting ${name}, a listed registry, is refused`, 'Leave the host out.'),
    );
}

function hostOf(address: string): string {
  return address.toLowerCase().replace(/:\d+$/, '').replace(/^\*\./, '');
}

function judgeIsolation(request: JudgedRequest): readonly Finding[] {
  const isolation = first(request, 'isolation');
  if (isolation === '' || isolation === 'default') return [];
  const reason = `the isolation technology ${isolation} is for Windows`;
  return [deny('query:isolation', reason, 'Leave it out.', { status: 400 })];
}
