/**
 * The rule `other-callers`: a container that holds host files of one caller belongs to that caller. Entering it would
 * be entering those files with the other's rights, and ending it would be breaking the other's work. Looking at it
 * (`docker ps`, `inspect`, `logs`) stays open to everybody, as on any shared engine.
 */
import { isRootCaller } from './callers.js';
import { findingsOf } from './finding.js';
import { bindDevice } from './local-volumes.js';
import type { ContainerFacts, Facts, Finding, JudgedRequest, Need, Rule } from './rule.js';
import { furtherTouchedNeeds, touchedContainers, touchedNeeds, workingRoutes } from './touched-containers.js';

const { deny } = findingsOf('other-callers');

/** Requests that end or halt containers, or give them another network or another size of their terminal. */
const endingRoutes = [
  'container.kill',
  'container.stop',
  'container.pause',
  'container.delete',
  'container.prune',
  'container.resize',
  'exec.resize',
  'network.connect',
  'network.disconnect',
] as const;

/** Requests through which a container's files can be had. */
const enteringRoutes: ReadonlySet<string> = new Set([
  'container.create',
  'container.attach',
  'container.attach-websocket',
  'container.archive-info',
  'container.archive-get',
  'container.archive-put',
  'container.export',
  'exec.create',
  'exec.start',
  'image.commit',
]);

export const otherCallers: Rule = {
  id: 'other-callers',
  summary:
    'A container that holds one caller’s host files can’t be entered, read out, changed, started, ended or joined by another unprivileged caller, nor root’s be entered by a container that root made; nor can a volume that is another user’s folder be removed.',
  setting: 'enhancedContainerIsolation.value',
  whenIsolationIsOff: 'rests',
  routes: [...workingRoutes, ...endingRoutes, 'container.create', 'image.build', 'volume.delete'],
  needs: (request) => [...touchedNeeds(request), ...volumeNeed(request)],
  furtherNeeds: (request, facts) => [
    ...furtherTouchedNeeds(request, facts),
    ...touchedContainers(request, facts).flatMap(({ container }) =>
      namedVolumes(container).map((name): Need => ({ kind: 'volume', name })),
    ),
    ...folderNeed(request, facts),
  ],
  judge: (request, facts) => [
    ...judgeVolume(request, facts),
    ...touchedContainers(request, facts)
      .filter(({ container }) => belongsToAnother(request, container, facts))
      .map(({ field, container }) =>
        deny(
          field,
          `the container ${container.name} holds host files of ${holderOf(request, container)}`,
          request.route.name === 'container.prune'
            ? 'Remove your own containers by their names.'
            : 'Ask that user, or make a container of your own.',
        ),
      ),
  ],
};

function volumeNeed({ route, params }: JudgedRequest): readonly Need[] {
  return route.name === 'volume.delete' ? [{ kind: 'volume', name: params['name'] ?? '' }] : [];
}

/** The folder behind a volume that is to be removed. */
function folderOf({ route, params }: JudgedRequest, facts: Facts): string | undefined {
  const volume = route.name === 'volume.delete' ? facts.volume(params['name'] ?? '') : undefined;
  return volume && bindDevice(volume.options);
}

function folderNeed(request: JudgedRequest, facts: Facts): readonly Need[] {
  const path = folderOf(request, facts);
  return path === undefined ? [] : [{ kind: 'path', path }];
}

/**
 * Who removes a volume can make another one of its name: the next container's files would then be that one's. A prune
 * takes no volume that has options (moby daemon/volume/service, Prune).
 */
function judgeVolume(request: JudgedRequest, facts: Facts): readonly Finding[] {
  const folder = folderOf(request, facts);
  if (folder === undefined || isRootCaller(request.caller)) return [];
  const { ownerUid, refusedAt } = facts.path(folder) ?? { refusedAt: folder };
  const own = ownerUid === undefined || ownerUid === 0 || ownerUid === request.caller.uid;
  if (refusedAt === undefined && own) return [];
  const reason = `the volume ${request.params['name'] ?? ''} is a folder of another user (${folder})`;
  return [deny('path', reason, 'Ask that user.')];
}

function belongsToAnother(request: JudgedRequest, container: ContainerFacts, facts: Facts): boolean {
  const { caller, route } = request;
  const { owner } = container;
  if (isRootCaller(caller) || owner === undefined || !holdsHostFiles(container, facts)) return false;
  if (owner.uid !== caller.uid) return true;
  // A container that root made has nothing of root's on the host: what root itself mounted isn't its.
  const rootsOwn = caller.uid === 0 && owner.container === undefined && container.id !== caller.container;
  return rootsOwn && enteringRoutes.has(route.name);
}

function holderOf({ caller }: JudgedRequest, { owner }: ContainerFacts): string {
  const uid = owner?.uid ?? 'unknown';
  return uid === caller.uid ? `the host’s root (uid ${uid})` : `another user (uid ${uid})`;
}

/** True when a mount of the container leads to a host path: a bind, or a volume that is one; or to a Docker socket. */
export function holdsHostFiles(container: ContainerFacts, facts: Facts): boolean {
  return container.mounts.some(({ ownSocket }) => ownSocket === true) || holdsFiles(container, facts);
}

/** The same but for a granted Docker socket. */
export function holdsFiles(container: ContainerFacts, facts: Facts): boolean {
  if (container.mounts.some(({ type, ownSocket }) => type === 'bind' && ownSocket !== true)) return true;
  return namedVolumes(container).some((name) => {
    const volume = facts.volume(name);
    return volume !== undefined && bindDevice(volume.options) !== undefined;
  });
}

/** The names of the container's volumes. */
export function namedVolumes(container: ContainerFacts): readonly string[] {
  return container.mounts.flatMap(({ type, name }) =>
    type === 'volume' && name !== undefined ? [name] : [],
  );
}
