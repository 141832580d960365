/**
 * Makes the sources that a request names before they exist. It must never make anything with more rights than the
 * caller's: the engine itself would make them as root's.
 */
import type { HostPaths } from '../host-files/host-paths.js';
import { missingSources } from '../rules/approved-mounts.js';
import type { Denial, Facts, JudgedRequest, PathFacts } from '../rules/rule.js';

function withPaths(facts: Facts, found: ReadonlyMap<string, PathFacts>): Facts {
  return {
    container: (ref) => facts.container(ref),
    image: (ref) => facts.image(ref),
    volume: (name) => facts.volume(name),
    network: (ref) => facts.network(ref),
    exec: (id) => facts.exec(id),
    path: (path) => found.get(path) ?? facts.path(path),
    hostRoutes: facts.hostRoutes,
  };
}

/**
 * Makes what `docker run -v` names and isn't there, as the caller and for the caller: the engine would make it as
 * root's. Only for requests that no rule refused.
 * @returns the facts with what is there now, or the denials of what the caller itself couldn't make
 */
export function makeMissingSources(
  request: JudgedRequest,
  facts: Facts,
  hostPaths: Pick<HostPaths, 'make'>,
): { readonly facts: Facts; readonly denials: readonly Denial[] } {
  const made = new Map<string, PathFacts>();
  const denials: Denial[] = [];
  for (const path of missingSources(request, facts)) {
    const { hostFiles, filesharingAllowedDirectories } = request.settings;
    const shared = hostFiles.sharingMode === 'warn' ? undefined : filesharingAllowedDirectories;
    const now = hostPaths.make(path, request.caller, hostFiles, shared);
    made.set(path, now);
    const why = now.restricted ?? now.refusedAt;
    if (why !== undefined) denials.push(notMade(path, why, request));
  }
  return { facts: made.size === 0 ? facts : withPaths(facts, made), denials };
}

function notMade(path: string, why: string, { caller }: JudgedRequest): Denial {
  return {
    kind: 'deny',
    rule: 'host-mounts',
    field: '/HostConfig/Binds',
    reason: `${path} doesn't exist, and the caller (uid ${caller.uid}) can't make it: ${why}`,
    setting: 'hostFiles',
    remedy: 'Make the folder first, or mount one that you can write to.',
  };
}
