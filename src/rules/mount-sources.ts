/**
 * The rule `mount-sources`: what a container mounts of the host must be there when it is started. The engine makes a
 * source of `-v` that is missing, as root and along whatever links are on the way by then (moby
 * daemon/volume/mounts/mounts.go, Setup); the container couldn't have it anyway, since it was not approved.
 */
import { findingsOf } from './finding.js';
import type { ContainerFacts, Facts, JudgedRequest, Need, Rule } from './rule.js';

const { deny } = findingsOf('mount-sources', 'hostFiles');

export const mountSources: Rule = {
  id: 'mount-sources',
  summary:
    'A container whose host folders are gone, or out of the caller’s reach, isn’t started: the engine would make them anew as root.',
  setting: 'hostFiles',
  whenIsolationIsOff: 'rests',
  routes: ['container.start', 'container.restart'],
  needs: ({ params }) => [{ kind: 'container', ref: params['id'] ?? '' }],
  furtherNeeds: (request, facts) => sources(request, facts).map((path): Need => ({ kind: 'path', path })),
  judge: (request, facts) =>
    sources(request, facts)
      .filter((path) => facts.path(path)?.real === undefined)
      .map((path) =>
        deny(
          'path',
          `${path}, which ${nameOf(request, facts)} mounts, is not there${whyOf(facts, path)}`,
          'Make the container anew: it gets what is there then.',
        ),
      ),
};

function containerOf({ params }: JudgedRequest, facts: Facts): ContainerFacts | undefined {
  return facts.container(params['id'] ?? '');
}

function nameOf(request: JudgedRequest, facts: Facts): string {
  return containerOf(request, facts)?.name ?? '';
}

function whyOf(facts: Facts, path: string): string {
  const refusedAt = facts.path(path)?.refusedAt;
  return refusedAt === undefined ? '' : ` for the caller: ${refusedAt}`;
}

/** The host paths of an isolated container; those that weren't isolated are as they ever were. */
function sources(request: JudgedRequest, facts: Facts): readonly string[] {
  const container = containerOf(request, facts);
  // Root of a container has no eyes of its own on the host.
  const blind = request.caller.uid === 0 && request.caller.container !== undefined;
  if (container?.isolated !== true || blind) return [];
  return container.mounts
    .filter(({ type, ownSocket }) => type === 'bind' && ownSocket !== true)
    .map(({ source }) => source);
}
