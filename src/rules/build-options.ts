/**
 * The rule `build-options`: what a build asks of the host besides its limits. RUN steps get networks of their own, and
 * nobody redirects the names of the registries that the settings trust.
 */
import { readBuildOutputs } from './build-outputs.js';
import { findingsOf } from './finding.js';
import type { Facts, Finding, JudgedRequest, Need, Rule } from './rule.js';

const { deny } = findingsOf('build-options');
const joins = 'container:';

export const buildOptions: Rule = {
  id: 'build-options',
  summary:
    'Builds may not use the host’s network, by whatever name, the network of a container that isn’t isolated, foreign isolation technologies, or extra hosts that redirect a listed registry; other networks are named by their full id.',
  setting: 'enhancedContainerIsolation.value',
  whenIsolationIsOff: 'rests',
  routes: ['image.build'],
  needs: (request) => {
    const container = joinedContainer(request);
    if (container !== undefined) return [{ kind: 'container', ref: container } satisfies Need];
    const network = namedNetwork(request);
    return network === undefined ? [] : [{ kind: 'network', ref: network } satisfies Need];
  },
  judge: (request, facts) => {
    const reference = joinedContainer(request);
    return [
      ...judgeNetwork(request, facts),
      ...(reference === undefined ? [] : judgeJoined(reference, facts.container(reference))),
      ...judgeExtraHosts(request),
      ...judgeIsolation(request),
      ...judgeOutputs(request),
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

/** The classic builder takes any network, by its name, its id or the beginning of it. */
function namedNetwork(request: JudgedRequest): string | undefined {
  const mode = first(request, 'networkmode');
  return ['', 'default', 'bridge', 'none', 'host'].includes(mode) || mode.startsWith(joins)
    ? undefined
    : mode;
}

function judgeNetwork(request: JudgedRequest, facts: Facts): readonly Finding[] {
  const field = 'query:networkmode';
  const name = namedNetwork(request);
  const found = name === undefined ? undefined : facts.network(name);
  if (first(request, 'networkmode').toLowerCase() === 'host' || found?.driver === 'host') {
    const reason = "building on the host's network is refused: the entitlement network.host is not allowed";
    return [deny(field, reason, 'Leave out --network host.')];
  }
  return found === undefined ? [] : [named(found.id)];
}

/** By its full id: a name could mean another one by the time the engine reads it. */
function named(value: string): Finding {
  const reason = 'named by its full id';
  return { kind: 'set-query', rule: 'build-options', name: 'networkmode', value, reason };
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
  return [named(joins + found.id)];
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

function judgeOutputs(request: JudgedRequest): readonly Finding[] {
  if (readBuildOutputs(request) !== undefined) return [];
  const remedy = 'Write [{"Type":"…","Attrs":{"…":"…"}}].';
  return [
    deny('query:outputs', 'the outputs are no list that can be read for sure', remedy, { status: 400 }),
  ];
}
