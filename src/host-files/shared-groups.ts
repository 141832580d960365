/**
 * Project groups whose files a caller may use through a bind as its own, because the settings name them. Never a
 * group that is power over the host: those of the system are left out even when they are named.
 */
import { HostIds, idOfGroup } from '../uid-allocator/host-ids.js';
import type { Caller } from '../uid-allocator/record.js';

/** Ids below belong to the system (Debian policy 9.2, login.defs SYS_GID_MAX). */
const FIRST_ORDINARY_GID = 1000;

/** Groups that give power over the host, whatever their number (Debian base-passwd, and engines' own). */
const powerful = new Set([
  'adm',
  'cofferdam',
  'disk',
  'docker',
  'incus',
  'incus-admin',
  'input',
  'kmem',
  'kvm',
  'libvirt',
  'lxd',
  'netdev',
  'root',
  'shadow',
  'staff',
  'sudo',
  'systemd-journal',
  'tty',
  'video',
  'wheel',
]);

/**
 * @param named the setting `hostFiles.groups`: names and numbers
 * @param owner the gid that owns the source
 * @returns the owner's gid alone, or nothing
 */
export function sharedGroups(
  named: readonly (string | number)[],
  caller: Caller,
  owner: number,
  hostIds: HostIds = new HostIds(),
): number[] {
  if (named.length === 0 || owner < FIRST_ORDINARY_GID || owner === caller.gid) return [];
  if (!caller.groups.includes(owner)) return [];
  const groups = hostIds.text('group');
  const isPowerful = [...powerful].some((name) => idOfGroup(name, groups) === owner);
  if (isPowerful) return [];
  const isNamed = named.some(
    (group) => (typeof group === 'number' ? group : idOfGroup(group, groups)) === owner,
  );
  return isNamed ? [owner] : [];
}
