/**
 * The approvals that go with an allowed create: for every host path of the request the inode that was judged, and
 * whose rights the mount carries. They are kept with the container; its runtime mounts nothing else of the host.
 */
import type { ApprovedMount } from '../uid-allocator/record.js';
import { isRootCaller } from './callers.js';
import { grantedImage } from './granted-socket.js';
import { hostSources } from './host-sources.js';
import { textAt } from './json-pointer.js';
import type { Facts, JudgedRequest, PathFacts, SocketImageFacts } from './rule.js';

/**
 * Sources that don't exist yet and that the engine would make as root's. They are to be made with the caller's own
 * rights before the request is sent on, and looked up again; only then `approvedMounts` is complete.
 */
export function missingSources(request: JudgedRequest, facts: Facts): readonly string[] {
  const socket = grantedImage(request, facts)?.socket;
  const missing = hostSources(request, facts)
    .filter(({ path }) => path !== socket?.path)
    .filter(({ path, createsSource }) => createsSource && facts.path(path)?.real === undefined)
    .map(({ path }) => path);
  return [...new Set(missing)];
}

/**
 * The approvals of a create that no rule refused. Where two mounts share a destination the engine keeps the later one
 * (moby daemon/volumes.go, registerMountPoints): volumes of other containers give way to the request's own.
 * The caller's subordinate range isn't in them: the allocator adds it.
 */
export function approvedMounts(request: JudgedRequest, facts: Facts): readonly ApprovedMount[] {
  if (request.route.name !== 'container.create') return [];
  const sources = hostSources(request, facts);
  const inherited = sources.filter(({ way }) => way === 'inherited');
  const own = sources.filter(({ way }) => way !== 'inherited');
  const approvals = new Map<string, ApprovedMount>();
  const socket = grantedImage(request, facts)?.socket;
  for (const { path, destination, readOnly } of [...inherited, ...own]) {
    if (path === socket?.path) {
      approvals.set(destination, socketApproval(socket, destination));
      continue;
    }
    const found = facts.path(path);
    if (found?.real === undefined || found.device === undefined || found.inode === undefined) continue;
    approvals.set(destination, {
      source: found.real,
      destination,
      device: String(found.device),
      inode: String(found.inode),
      readOnly,
      ...rights(request, facts, found),
    });
  }
  return [...approvals.values()];
}

/** The container's own root may use the socket: the whole range is mapped. */
function socketApproval(
  { path, device, inode }: SocketImageFacts['socket'],
  destination: string,
): ApprovedMount {
  return { source: path, destination, device, inode, readOnly: false, mapping: 'identity', ownSocket: true };
}

type Rights = Pick<
  ApprovedMount,
  'mapping' | 'ownerUid' | 'ownerGid' | 'containerUid' | 'containerGid' | 'sharedGids'
>;

function rights(request: JudgedRequest, facts: Facts, path: PathFacts): Rights {
  const { caller, settings } = request;
  const root = isRootCaller(caller);
  if (root && settings.hostFiles.rootCallers === 'identity') return { mapping: 'identity' };
  const ownerUid = root ? (path.ownerUid ?? 0) : caller.uid;
  const ownerGid = root ? (path.ownerGid ?? 0) : caller.gid;
  const shared = path.sharedGids === undefined ? {} : { sharedGids: path.sharedGids };
  return {
    mapping: 'caller',
    ownerUid,
    ownerGid,
    ...shared,
    ...containerUser(request, facts, ownerUid, ownerGid),
  };
}

/**
 * Inside, the caller's files belong to root, or to the user that the container runs as when that is the caller's own
 * number (`--user $(id -u):$(id -g)`).
 */
function containerUser(
  request: JudgedRequest,
  facts: Facts,
  ownerUid: number,
  ownerGid: number,
): Partial<Rights> {
  const named = textAt(request.body, '/User');
  const image = textAt(request.body, '/Image');
  const [user = '', group = ''] = (named || (image === '' ? '' : (facts.image(image)?.user ?? ''))).split(
    ':',
  );
  if (user !== String(ownerUid) || ownerUid === 0) return {};
  return { containerUid: ownerUid, ...(group === String(ownerGid) ? { containerGid: ownerGid } : {}) };
}
