/**
 * The ids that the host's administrator delegated to a user in /etc/subuid and /etc/subgid, where they are fit to hold
 * the other ids of the user's containers on disk. Never ids that somebody else has, whatever the files say.
 */
import {
  type HostIds,
  type IdSpan,
  loginNameOf,
  parseIds,
  parseSubordinateFile,
  type SubordinateEntry,
} from './host-ids.js';
import { RANGE_SIZE } from './range.js';
import type { Subordinate } from './record.js';

function meet(a: IdSpan, b: IdSpan): boolean {
  return a.first < b.first + b.count && b.first < a.first + a.count;
}

/** The first id of the user's own entry that is large enough and nobody else's. */
function delegatedBase(uid: number, file: 'subuid' | 'subgid', hostIds: HostIds): number | undefined {
  const owners = [String(uid), loginNameOf(uid, hostIds.text('passwd'))];
  const entries = parseSubordinateFile(hostIds.text(file));
  const own = entries.filter(({ owner }) => owners.includes(owner));
  const others = [
    ...entries.filter((entry) => !own.includes(entry)),
    ...parseIds(hostIds.text('passwd')).map((first) => ({ first, count: 1 })),
    ...parseIds(hostIds.text('group')).map((first) => ({ first, count: 1 })),
  ];
  const fit = own.find(
    ({ first, count }) =>
      count >= RANGE_SIZE &&
      first + count <= 0xffff_ffff &&
      !others.some((other) => meet({ first, count }, other)),
  );
  return fit?.first;
}

/** @returns undefined when the user has no entry in both files that is fit */
export function delegatedSubordinate(uid: number, hostIds: HostIds): Subordinate | undefined {
  const uidBase = delegatedBase(uid, 'subuid', hostIds);
  const gidBase = delegatedBase(uid, 'subgid', hostIds);
  return uidBase === undefined || gidBase === undefined ? undefined : { uidBase, gidBase, size: RANGE_SIZE };
}

/** Whoever has these may be any user: nothing is gained by having its subordinate ids. */
const superusers = ['root', '0'];

/** True for an id that /etc/subuid delegates to an ordinary user, unless it is an account's all the same. */
export function isDelegated(uid: number, hostIds: HostIds): boolean {
  if (loginNameOf(uid, hostIds.text('passwd')) !== undefined) return false;
  const holds = ({ first, count }: SubordinateEntry): boolean => first <= uid && uid < first + count;
  return parseSubordinateFile(hostIds.text('subuid')).some(
    (entry) => holds(entry) && !superusers.includes(entry.owner),
  );
}
