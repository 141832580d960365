/**
 * Tells for each host path of a container whose rights its mount carries, and who owns what on disk afterwards, as
 * docs/identity.md has it. Words only; nothing is decided here.
 */
import type { ApprovedMount } from '../uid-allocator/record.js';

/** One sentence for each approved mount. */
export function ownershipLines(mounts: readonly ApprovedMount[]): string[] {
  return mounts.map(
    (mount) =>
      `${mount.source} at ${mount.destination}${mount.readOnly ? ', read-only' : ''}: ${owners(mount)}`,
  );
}

function owners({ mapping, ownerUid, ownerGid, containerUid = 0, sharedGids = [] }: ApprovedMount): string {
  if (mapping === 'identity') return 'ids are the same inside and on disk';
  const user = containerUid === 0 ? 'root' : `uid ${containerUid}`;
  const group = sharedGids.length === 0 ? '' : `; group ${sharedGids.join(', ')} keeps its number`;
  return `what ${user} of the container makes belongs to ${ownerUid}:${ownerGid} on disk, what others make to that user's subordinate ids; files of other users can't be written${group}`;
}
