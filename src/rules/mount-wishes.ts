/**
 * One list of everything that a request wants mounted, whichever field asks for it: `Binds`, `Mounts`, `Volumes`,
 * `Tmpfs`, a service's mounts. Read exactly as the engine reads it (moby daemon/volume/mounts/linux_parser.go and
 * daemon/volumes.go). CVE-2026-6406 was a filter that knew one of these fields and not the other.
 */
import { posix } from 'node:path';
import { placesOf } from './body-places.js';
import { isObject, listAt, membersAt, pointer, textAt, textsAt, valueAt } from './json-pointer.js';
import type { VolumeOptions } from './local-volumes.js';
import type { JudgedRequest } from './rule.js';

export interface MountWish {
  readonly field: string;
  readonly kind: 'host' | 'volume' | 'tmpfs' | 'image';
  /** Host path, volume name or image; empty for an anonymous volume and for tmpfs. */
  readonly source: string;
  /** Path inside the container, cleaned as the engine cleans it. */
  readonly destination: string;
  readonly readOnly: boolean;
  /** Mode words of `Binds`, or the propagation of `Mounts`. */
  readonly words: readonly string[];
  /** True when the engine would make a missing source as a folder owned by root. */
  readonly createsSource: boolean;
  /** Volume driver and options given inline. */
  readonly driver: string;
  readonly options: VolumeOptions;
  /** Folder in the volume that is mounted in its place. */
  readonly subpath?: string;
  /** True when the mounts below the source stay out: what they cover then shows. */
  readonly uncovers?: boolean;
}

/** A mount that can't be read as anything the engine knows. */
export interface UnclearMount {
  readonly field: string;
  readonly problem: string;
}

export interface MountList {
  readonly wishes: readonly MountWish[];
  readonly unclear: readonly UnclearMount[];
}

const propagations = ['private', 'rprivate', 'slave', 'rslave', 'shared', 'rshared'];
const modeWords = new Set([
  'ro',
  'rw',
  'z',
  'Z',
  'nocopy',
  'consistent',
  'cached',
  'delegated',
  ...propagations,
]);
/** The engine's own pattern of volume names (moby daemon/names, RestrictedNamePattern). */
const volumeName = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;

/** Everything that the request wants mounted. */
export function mountList(request: JudgedRequest): MountList {
  const parts = [...binds(request), ...mounts(request), ...anonymousVolumes(request), ...tmpfs(request)];
  return {
    wishes: parts.filter((part): part is MountWish => 'kind' in part),
    unclear: parts.filter((part): part is UnclearMount => 'problem' in part),
  };
}

type Part = MountWish | UnclearMount;

function binds(request: JudgedRequest): readonly Part[] {
  const driver = textAt(request.body, '/HostConfig/VolumeDriver');
  return textsAt(request.body, '/HostConfig/Binds').map(([index, text]) =>
    bind(`/HostConfig/Binds/${index}`, text, driver),
  );
}

function bind(field: string, text: string, driver: string): Part {
  const parts = text.split(':');
  const [first = '', second = '', mode = ''] = parts;
  if (first === '' || parts.length > 3)
    return { field, problem: `${JSON.stringify(text)} is not SOURCE:TARGET:MODE` };
  const anonymous = parts.length === 1;
  const source = anonymous ? '' : first;
  const target = anonymous ? first : second;
  const words = mode === '' ? [] : mode.split(',');
  const unknown = words.find((word) => !modeWords.has(word));
  if (unknown !== undefined) return { field, problem: `the mode ${JSON.stringify(unknown)} is unknown` };
  if (!target.startsWith('/')) return { field, problem: 'the target must be an absolute path' };
  const host = source.startsWith('/');
  if (!host && source !== '' && !volumeName.test(source)) {
    return { field, problem: `${JSON.stringify(source)} is neither an absolute path nor a volume's name` };
  }
  return {
    field,
    kind: host ? 'host' : 'volume',
    source: host ? posix.resolve(source) : source,
    destination: posix.resolve('/', target),
    readOnly: words.includes('ro'),
    words,
    createsSource: host,
    driver: host ? '' : driver,
    options: {},
  };
}

function mounts(request: JudgedRequest): readonly Part[] {
  const list = placesOf(request).mounts;
  if (list === undefined) return [];
  return listAt(request.body, list).map((_value, index) => mount(request, `${list}/${index}`));
}

function mount(request: JudgedRequest, field: string): Part {
  const text = (name: string) => textAt(request.body, `${field}/${name}`);
  const flag = (name: string) => valueAt(request.body, `${field}/${name}`) === true;
  const target = text('Target');
  if (!target.startsWith('/'))
    return { field: `${field}/Target`, problem: 'the target must be an absolute path' };
  const common = {
    field,
    source: text('Source'),
    destination: posix.resolve('/', target),
    readOnly: flag('ReadOnly'),
    words: [],
    createsSource: false,
    driver: '',
    options: {},
  };
  switch (text('Type')) {
    case 'bind':
      return {
        ...hostMount(common, text('BindOptions/Propagation'), flag('BindOptions/CreateMountpoint')),
        uncovers: flag('BindOptions/NonRecursive'),
      };
    case 'volume':
      return volumeMount(request, common);
    case 'tmpfs':
      return { ...common, kind: 'tmpfs', source: '' };
    case 'image':
      return { ...common, kind: 'image', readOnly: true };
    default:
      return {
        field: `${field}/Type`,
        problem: `the mount type ${JSON.stringify(text('Type'))} is not served here`,
      };
  }
}

type Common = Omit<MountWish, 'kind'>;

function hostMount(common: Common, propagation: string, createsSource: boolean): Part {
  if (!common.source.startsWith('/')) {
    return { field: `${common.field}/Source`, problem: 'the source of a bind must be an absolute path' };
  }
  if (propagation !== '' && !propagations.includes(propagation)) {
    const problem = `the propagation ${JSON.stringify(propagation)} is unknown`;
    return { field: `${common.field}/BindOptions/Propagation`, problem };
  }
  const words = propagation === '' ? [] : [propagation];
  return { ...common, kind: 'host', source: posix.resolve(common.source), words, createsSource };
}

function volumeMount(request: JudgedRequest, common: Common): Part {
  if (common.source !== '' && !volumeName.test(common.source)) {
    return {
      field: `${common.field}/Source`,
      problem: `${JSON.stringify(common.source)} is not a volume's name`,
    };
  }
  const config = `${common.field}/VolumeOptions/DriverConfig`;
  const noCopy = valueAt(request.body, `${common.field}/VolumeOptions/NoCopy`) === true;
  return {
    ...common,
    kind: 'volume',
    words: noCopy ? ['nocopy'] : [],
    driver: textAt(request.body, `${config}/Name`),
    subpath: textAt(request.body, `${common.field}/VolumeOptions/Subpath`),
    options: optionsAt(request, `${config}/Options`),
  };
}

/** A map of strings as it stands in the body. */
export function optionsAt(request: JudgedRequest, field: string): VolumeOptions {
  return Object.fromEntries(
    membersAt(request.body, field).map(([key, value]) => [key, typeof value === 'string' ? value : '']),
  );
}

function anonymousVolumes(request: JudgedRequest): readonly Part[] {
  if (request.route.name !== 'container.create') return [];
  const driver = textAt(request.body, '/HostConfig/VolumeDriver');
  return membersAt(request.body, '/Volumes').map(([target]) => ({
    field: `/Volumes${pointer(target)}`,
    kind: 'volume' as const,
    source: '',
    destination: posix.resolve('/', target),
    readOnly: false,
    words: [],
    createsSource: false,
    driver,
    options: {},
  }));
}

function tmpfs(request: JudgedRequest): readonly Part[] {
  const value = valueAt(request.body, '/HostConfig/Tmpfs');
  if (request.route.name !== 'container.create' || !isObject(value)) return [];
  return Object.keys(value).map((target) => ({
    field: `/HostConfig/Tmpfs${pointer(target)}`,
    kind: 'tmpfs' as const,
    source: '',
    destination: posix.resolve('/', target),
    readOnly: false,
    words: [],
    createsSource: false,
    driver: '',
    options: {},
  }));
}
