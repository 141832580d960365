/**
 * Which existing containers a request works on, whatever place it names them in: the path, a query parameter, the
 * exec that was made in one, or a create that joins them.
 */
import { containerReferences } from './container-references.js';
import { textAt } from './json-pointer.js';
import type { ContainerFacts, Facts, JudgedRequest, Need } from './rule.js';

/** Requests that run, enter, read out or change a container named in their path. */
export const workingRoutes = [
  'container.start',
  'container.restart',
  'container.unpause',
  'container.update',
  'container.rename',
  'container.attach',
  'container.attach-websocket',
  'container.archive-info',
  'container.archive-get',
  'container.archive-put',
  'container.export',
  'exec.create',
  'exec.start',
  'image.commit',
] as const;

/** Requests about an exec, which name no container. */
const execRoutes: readonly string[] = ['exec.start', 'exec.resize'];

export interface TouchedContainer {
  readonly field: string;
  readonly container: ContainerFacts;
}

/** The facts that `touchedContainers` needs first. */
export function touchedNeeds(request: JudgedRequest): readonly Need[] {
  const { name } = request.route;
  if (name === 'container.prune') return [{ kind: 'stopped-containers' }];
  if (execRoutes.includes(name)) return [{ kind: 'exec', id: request.params['id'] ?? '' }];
  return touchedReferences(request).map(({ reference }) => ({ kind: 'container', ref: reference }));
}

/** The facts that follow: an exec's container, and those that a prune would remove. */
export function furtherTouchedNeeds(request: JudgedRequest, facts: Facts): readonly Need[] {
  if (request.route.name === 'container.prune')
    return (facts.stoppedContainers ?? []).map((ref): Need => ({ kind: 'container', ref }));
  if (!execRoutes.includes(request.route.name)) return [];
  const found = facts.exec(request.params['id'] ?? '');
  return found === undefined ? [] : [{ kind: 'container', ref: found.containerId }];
}

/** The containers that this request works on. One that doesn't exist is left out: the engine says so itself. */
export function touchedContainers(request: JudgedRequest, facts: Facts): readonly TouchedContainer[] {
  return touchedReferences(request, facts).flatMap(({ field, reference }) => {
    const container = facts.container(reference);
    return container === undefined ? [] : [{ field, container }];
  });
}

interface Reference {
  readonly field: string;
  readonly reference: string;
}

function touchedReferences(request: JudgedRequest, facts?: Facts): readonly Reference[] {
  return namedContainers(request, facts).filter(({ reference }) => reference !== '');
}

function namedContainers(request: JudgedRequest, facts?: Facts): readonly Reference[] {
  switch (request.route.name) {
    case 'container.create':
      return containerReferences(request);
    case 'image.commit':
      return [{ field: 'query:container', reference: request.query.get('container')?.[0] ?? '' }];
    case 'network.connect':
    case 'network.disconnect':
      return [{ field: '/Container', reference: textAt(request.body, '/Container') }];
    case 'container.prune':
      return (facts?.stoppedContainers ?? []).map((reference) => ({ field: 'path', reference }));
    case 'image.build':
      return [{ field: 'query:networkmode', reference: joinedByBuild(request) }];
    case 'exec.start':
    case 'exec.resize':
      return [{ field: 'path', reference: facts?.exec(request.params['id'] ?? '')?.containerId ?? '' }];
    default:
      return [{ field: 'path', reference: request.params['id'] ?? '' }];
  }
}

/** The container whose network the steps of a classic build join. */
function joinedByBuild({ query }: JudgedRequest): string {
  return /^container:(.*)$/s.exec(query.get('networkmode')?.[0] ?? '')?.[1] ?? '';
}
