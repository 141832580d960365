/**
 * Whether a folder of a running container lies in a bind mount that carries its caller's rights. There the caller's own
 * number stands for the container's user (docs/identity.md), also in an archive that the caller sends.
 */
import { readFileSync } from 'node:fs';
import { MountTable } from '../system/mount-table.js';
import type { ApprovedMount } from '../uid-allocator/record.js';

/**
 * @param descriptor the folder, opened in the container's own view
 * @param pid a process of the container
 * @param mounts what was approved for the container
 * @returns undefined for the container's other files
 */
export function callerMount(
  descriptor: number,
  pid: number,
  mounts: readonly ApprovedMount[],
): ApprovedMount | undefined {
  const carried = mounts.filter(({ mapping }) => mapping === 'caller');
  if (carried.length === 0) return undefined;
  const id = /^mnt_id:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${descriptor}`, 'latin1'))?.[1];
  const point = MountTable.read(pid).entries.find((entry) => String(entry.id) === id)?.mountPoint;
  if (point === undefined) return undefined;
  return carried
    .filter(
      ({ destination }) => point === trimmed(destination) || point.startsWith(`${trimmed(destination)}/`),
    )
    .reduce<ApprovedMount | undefined>(
      (deepest, mount) => (mount.destination.length > (deepest?.destination.length ?? 0) ? mount : deepest),
      undefined,
    );
}

function trimmed(path: string): string {
  return path.replace(/(?<=.)\/+$/, '');
}
