/**
 * Going back to a service's earlier specification (`docker service rollback`). The engine takes the one that it keeps,
 * and of the body only whether it could have been an update (moby daemon/cluster/services.go; swarmkit
 * manager/controlapi/service.go, UpdateService). So the kept one takes the body's place before any rule judges: what
 * is judged and sent is what comes into force. It goes with the service's id and the version at which it was looked up;
 * whatever changes in between, the engine then refuses.
 */
import { typeBody } from '../engine/body.js';
import { findingsOf } from './finding.js';
import type { Denial, Facts, JudgedRequest, Need } from './rule.js';

const { deny } = findingsOf('services');
const field = 'query:rollback';
const remedy = 'Update the service with the earlier specification instead.';

/** What a request comes to, once it is known what its service would go back to. */
export type RequestInForce =
  | { readonly kind: 'judge'; readonly request: JudgedRequest }
  /** There is no such service: one that comes into being a moment later was never judged. */
  | { readonly kind: 'missing'; readonly request: JudgedRequest; readonly service: string }
  | { readonly kind: 'refuse'; readonly denials: readonly Denial[] };

/** True for a request that brings a service's earlier specification back into force. */
export function isRollback({ route, query }: JudgedRequest): boolean {
  return route.name === 'service.update' && query.get('rollback')?.[0] === 'previous';
}

/** The request as it takes effect: rollbacks with the specification that they bring back, others as they are. */
export async function inForce(
  request: JudgedRequest,
  resolve: (needs: readonly Need[]) => Facts | Promise<Facts>,
): Promise<RequestInForce> {
  if (!isRollback(request)) return { kind: 'judge', request };
  const ref = request.params['id'] ?? '';
  const found = (await resolve([{ kind: 'service', ref }])).service?.(ref);
  if (found === undefined) return { kind: 'missing', request, service: ref };
  const version = request.query.get('version')?.[0] ?? '';
  const named = { ...request, params: { ...request.params, id: found.id } };
  // The engine refuses a version that isn't a number, and says so.
  if (/^\d+$/.test(version) && BigInt(version) !== found.version) {
    return found.previous === undefined ? nothingAt(found.version, named) : refuse(outOfSequence());
  }
  if (found.previous === undefined) return { kind: 'judge', request: named };
  const typed = typeBody(request.route, found.previous, request.apiVersion);
  if ('body' in typed) return { kind: 'judge', request: { ...named, body: typed.body } };
  const problems = 'problems' in typed ? typed.problems.map(({ reason }) => reason) : [];
  return refuse(
    deny(field, `the specification to go back to can't be judged: ${problems.join('; ')}`, remedy),
  );
}

/** Nothing to go back to: the engine says so before it looks at the version, which must not be one yet to come. */
function nothingAt(version: bigint, request: JudgedRequest): RequestInForce {
  const query = new Map([...request.query, ['version', [String(version)]]]);
  return { kind: 'judge', request: { ...request, query } };
}

function refuse(denial: Denial): RequestInForce {
  return { kind: 'refuse', denials: [denial] };
}

/** What the engine says to an update of a service that was changed meanwhile. */
function outOfSequence(): Denial {
  const text = 'rpc error: code = Unknown desc = update out of sequence';
  return deny('query:version', 'the service is at another version', 'Look at the service again.', {
    status: 500,
    text,
  });
}

/** A rule would change a rollback's specification: the engine would take its own all the same. */
export function unchangeable(place: string, reason: string): Denial {
  return deny(field, `the specification to go back to can't come back as it is: ${place}, ${reason}`, remedy);
}
