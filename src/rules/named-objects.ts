/**
 * Names the objects of an allowed request by their full ids. A name or a short id could mean something else by the time
 * the engine reads it; the engine gets what was judged.
 */
import { containerReferences } from './container-references.js';
import { textAt } from './json-pointer.js';
import type { ContainerFacts, Facts, JudgedRequest, Need } from './rule.js';

export interface NamedRequest {
  readonly request: JudgedRequest;
  /** The same facts, which know containers by their full ids as well. */
  readonly facts: Facts;
}

/**
 * @param request as the client sent it
 * @param applied the same with the rules' assignments made
 */
export function nameInFull(request: JudgedRequest, applied: JudgedRequest, facts: Facts): NamedRequest {
  const container = (ref: string | undefined) =>
    ref === undefined || ref === '' ? undefined : facts.container(ref);
  const inPath = request.route.object === 'container' ? container(request.params['id']) : undefined;
  const inQuery =
    request.route.name === 'image.commit' ? container(request.query.get('container')?.[0]) : undefined;
  const inBody =
    request.route.name === 'container.create'
      ? containerReferences(request).flatMap(({ reference }) => container(reference) ?? [])
      : [];
  const attached = ['network.connect', 'network.disconnect'].includes(request.route.name)
    ? container(textAt(request.body, '/Container'))
    : undefined;
  const network = request.route.object === 'network' ? facts.network(request.params['id'] ?? '') : undefined;
  const id = inPath?.id ?? network?.id;
  const named = {
    ...applied,
    ...(id === undefined ? {} : { params: { ...applied.params, id } }),
    ...(inQuery === undefined ? {} : { query: new Map([...applied.query, ['container', [inQuery.id]]]) }),
    ...(attached === undefined ? {} : { body: { ...applied.body, Container: attached.id } }),
  };
  const found = [inPath, inQuery, attached, ...inBody].filter((one) => one !== undefined);
  return { request: named, facts: found.length === 0 ? facts : withFullIds(facts, found) };
}

function withFullIds(facts: Facts, containers: readonly ContainerFacts[]): Facts {
  const byId = new Map(containers.map((container) => [container.id, container]));
  return {
    container: (ref) => byId.get(ref) ?? facts.container(ref),
    image: (ref) => facts.image(ref),
    volume: (name) => facts.volume(name),
    network: (ref) => facts.network(ref),
    exec: (id) => facts.exec(id),
    path: (path) => facts.path(path),
    hostRoutes: facts.hostRoutes,
  };
}

/**
 * The container that a request works on, as the client named it, where rules asked for it and there was none. Nothing
 * may be done to it: what comes into being under this name a moment later was never judged.
 * @param needs what the request's rules asked for
 */
export function missingContainer(
  { route, params, query }: JudgedRequest,
  facts: Facts,
  needs: readonly Need[],
): string | undefined {
  const inPath = route.object === 'container' ? params['id'] : undefined;
  const reference = route.name === 'image.commit' ? query.get('container')?.[0] : inPath;
  const asked = needs.some((need) => need.kind === 'container' && need.ref === reference);
  return reference !== undefined && asked && facts.container(reference) === undefined ? reference : undefined;
}
