/**
 * Every place in a create request that names another container, and how to name it by its full id instead.
 * The engine resolves a name when it gets the request: what was judged must be what it finds, whatever is renamed
 * in between.
 */
import { textAt, textsAt } from './json-pointer.js';
import type { JudgedRequest } from './rule.js';

export interface ContainerReference {
  readonly field: string;
  /** What naming it does: share a namespace, take its mounts over, learn its name and environment. */
  readonly purpose: 'namespace' | 'volumes' | 'link';
  /** Name, id or prefix of an id as the client wrote it. */
  readonly reference: string;
  /** The field's value with the container named by its full id. */
  readonly rewritten: (fullId: string) => string;
}

const namespaceFields = ['/HostConfig/PidMode', '/HostConfig/NetworkMode', '/HostConfig/IpcMode'];
const joins = 'container:';

/** The containers that a create request names. */
export function containerReferences(request: JudgedRequest): readonly ContainerReference[] {
  return [...namespaces(request), ...volumes(request), ...links(request)];
}

function namespaces(request: JudgedRequest): readonly ContainerReference[] {
  return namespaceFields.flatMap((field) => {
    const mode = textAt(request.body, field);
    if (!mode.startsWith(joins)) return [];
    const reference = mode.slice(joins.length);
    return [{ field, purpose: 'namespace' as const, reference, rewritten: (id: string) => joins + id }];
  });
}

/** `CONTAINER[:MODE]`, cut at the first colon (moby daemon/volume/mounts, ParseVolumesFrom). */
function volumes(request: JudgedRequest): readonly ContainerReference[] {
  return textsAt(request.body, '/HostConfig/VolumesFrom').map(([index, text]) => {
    const colon = text.indexOf(':');
    const reference = colon === -1 ? text : text.slice(0, colon);
    const mode = colon === -1 ? '' : text.slice(colon);
    const field = `/HostConfig/VolumesFrom/${index}`;
    return { field, purpose: 'volumes' as const, reference, rewritten: (id: string) => id + mode };
  });
}

/**
 * On a network of the user's own the engine makes no link of these, and their containers needn't exist (moby
 * daemon/daemon_unix.go, registerLinks).
 */
function linksCount(request: JudgedRequest): boolean {
  const mode = textAt(request.body, '/HostConfig/NetworkMode');
  return ['', 'default', 'bridge', 'none', 'host'].includes(mode) || mode.startsWith(joins);
}

/** `CONTAINER[:ALIAS]`, also in the form `/CONTAINER:/self/ALIAS` (moby opts, ParseLink). */
function links(request: JudgedRequest): readonly ContainerReference[] {
  if (!linksCount(request)) return [];
  return textsAt(request.body, '/HostConfig/Links').map(([index, text]) => {
    const colon = text.indexOf(':');
    const named = colon === -1 ? text : text.slice(0, colon);
    const alias = colon === -1 ? named : text.slice(colon + 1);
    const reference = named.replace(/^\//, '');
    const short = alias.slice(alias.lastIndexOf('/') + 1);
    const field = `/HostConfig/Links/${index}`;
    return { field, purpose: 'link' as const, reference, rewritten: (id: string) => `${id}:${short}` };
  });
}
