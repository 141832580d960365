/**
 * Which volumes a request relies on, and which it may make something else of. The engine copies what an image has into
 * a volume as host root when it makes a container (moby daemon/create_unix.go, populateVolume); whether it may depends
 * on what the volume is, so that must not change between the look-up and the copy. Pure.
 */
import { volumeKind } from './local-volumes.js';
import { mountList, optionsAt } from './mount-wishes.js';
import type { JudgedRequest } from './rule.js';

export interface VolumeUses {
  /** Names of volumes that must stay what they were looked up as. */
  readonly reliesOn: readonly string[];
  /** Names of volumes that the request would make with options, a host folder for one. */
  readonly makes: readonly string[];
}

/** The volumes that a request names; `undefined` when it names none. */
export function volumeUses(request: JudgedRequest): VolumeUses | undefined {
  if (request.route.name === 'volume.create') {
    const name = request.body?.['Name'];
    if (typeof name !== 'string' || name === '') return undefined;
    return isPlain(optionsAt(request, '/DriverOpts')) ? undefined : { reliesOn: [], makes: [name] };
  }
  if (request.route.name !== 'container.create') return undefined;
  const named = mountList(request).wishes.filter(({ kind, source }) => kind === 'volume' && source !== '');
  if (named.length === 0) return undefined;
  const names = (plain: boolean) =>
    named.filter(({ options }) => isPlain(options) === plain).map(({ source }) => source);
  return { reliesOn: names(true), makes: names(false) };
}

function isPlain(options: Parameters<typeof volumeKind>[0]): boolean {
  return volumeKind(options).kind === 'plain';
}
