/**
 * The rule `socket-mounts`: the sockets of Docker, containerd, Podman and cofferdam stay outside containers, whatever
 * field, volume, link or other name leads to them. The text is Docker Desktop's.
 */
import { formatReference, parseReference } from '../registry/reference.js';
import { placesOf } from './body-places.js';
import { findingsOf } from './finding.js';
import { grantedImage, socketImageNeeds } from './granted-socket.js';
import { furtherSourceNeeds, type HostSource, hostSources, sourceNeeds } from './host-sources.js';
import { textAt } from './json-pointer.js';
import type { ContainerFacts, Denial, Facts, Finding, JudgedRequest, Need, PathFacts, Rule } from './rule.js';

const setting = 'enhancedContainerIsolation.dockerSocketMount.imageList';
const { deny, set, warn } = findingsOf('socket-mounts', setting);

/** Names under which clients ask for an engine's socket, also where no engine listens there. */
const socketName = /^(\/var)?\/run\/(user\/\d+\/)?(docker|podman\/podman|containerd\/containerd)\.sock$/;

export const socketMounts: Rule = {
  id: 'socket-mounts',
  summary:
    'Containers whose image is on the list get a socket of cofferdam’s in place of the engine’s; mounting it is refused for all others: by `Binds`, `Mounts` (`--use-api-socket`), volumes, `VolumesFrom` and every name of the socket. A container that holds one is started only while its image is on the list.',
  setting,
  whenIsolationIsOff: 'rests',
  routes: [
    ...['container.create', 'container.start', 'container.restart'],
    ...['volume.create', 'service.create', 'service.update'],
  ],
  needs: (request) =>
    starts(request) ? [{ kind: 'container', ref: request.params['id'] ?? '' }] : sourceNeeds(request),
  furtherNeeds: (request, facts) => [
    ...(starts(request) ? startedImageNeeds(request, facts) : furtherSourceNeeds(request, facts)),
    ...(hostSources(request, facts).some((source) => isEngineSocket(source, facts))
      ? socketImageNeeds(request)
      : []),
  ],
  judge: (request, facts) =>
    starts(request)
      ? judgeStart(request, facts)
      : hostSources(request, facts)
          .filter((source) => isEngineSocket(source, facts))
          .flatMap(
            (source) => grant(request, source, facts) ?? [refusal(source.field, requestedImage(request))],
          ),
};

function starts({ route }: JudgedRequest): boolean {
  return route.name === 'container.start' || route.name === 'container.restart';
}

function startedHolder({ params }: JudgedRequest, facts: Facts): ContainerFacts | undefined {
  const container = facts.container(params['id'] ?? '');
  return container?.socketGranted === true ? container : undefined;
}

function startedImageNeeds(request: JudgedRequest, facts: Facts): readonly Need[] {
  const holder = startedHolder(request, facts);
  return holder === undefined ? [] : [{ kind: 'socket-image', ref: holder.image }];
}

/** The list may have changed since the container was made, and so may what the registry serves under a listed name. */
function judgeStart(request: JudgedRequest, facts: Facts): readonly Finding[] {
  const holder = startedHolder(request, facts);
  const image = holder && facts.socketImage?.(holder.image);
  if (holder === undefined || image?.allowed === true) return [];
  return [refusal('path', imageName(image?.digests?.[0] ?? holder.image))];
}

/**
 * A plain mount of a Docker socket by an allowed image: its source becomes our own socket for containers, where every
 * request is judged again, as the container's. The image is named by its id, so that no tag moves in between.
 */
function grant(request: JudgedRequest, source: HostSource, facts: Facts): readonly Finding[] | undefined {
  const granted = grantedImage(request, facts);
  if (granted === undefined || source.way !== 'bind' || !source.path.endsWith('/docker.sock'))
    return undefined;
  const { imageId, socket, warning } = granted;
  return [
    set('/Image', imageId, 'the image that was judged'),
    set(...replacedSource(request, source, socket.path), 'the container gets a Docker socket of its own'),
    ...(warning === undefined ? [] : [warn('/Image', warning)]),
  ];
}

/** The field that names the source, and its new value: the manner of the mount stays. */
function replacedSource(request: JudgedRequest, { field }: HostSource, path: string): [string, string] {
  if (!field.startsWith('/HostConfig/Binds/')) return [`${field}/Source`, path];
  const [, ...rest] = textAt(request.body, field).split(':');
  return [field, [path, ...rest].join(':')];
}

/** True for a source that is an engine's socket itself. A folder that holds one is a restricted path instead. */
export function isEngineSocket({ path }: HostSource, facts: Facts): boolean {
  return socketName.test(path) || isRestrictedSocket(facts.path(path));
}

function isRestrictedSocket(path: PathFacts | undefined): boolean {
  return path?.restricted !== undefined && path.type === 'socket';
}

function refusal(field: string, image: string): Denial {
  const reason = `docker socket mount denied for container with image "${image}"`;
  return deny(field, reason, 'Use an image that may mount the socket.', {
    text: `enhanced container isolation: ${reason}; image is not in the allowed list; if you wish to allow it, configure the docker socket image list in the cofferdam settings.`,
  });
}

function requestedImage(request: JudgedRequest): string {
  return imageName(textAt(request.body, placesOf(request).image ?? '/Image'));
}

/** An image as Docker Desktop names it: registry and path in full, without tag. */
function imageName(text: string): string {
  // An id would be read as a name with a tag.
  if (text.startsWith('sha256:')) return text;
  try {
    const { domain, path } = parseReference(text);
    return formatReference({ domain, path });
  } catch {
    // No name of an image: as it was written.
    return text;
  }
}
