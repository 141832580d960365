/**
 * What the options of a volume of the `local` driver make the engine do: it calls mount(2) as host root with whatever
 * they say (moby daemon/volume/local/local_unix.go). Facts about options only; the verdict is the rule's.
 */

export type VolumeOptions = Readonly<Record<string, string>>;

/** What mounting the volume comes to. */
export type VolumeKind =
  /** The engine's own folder; at most with a quota. */
  | { readonly kind: 'plain' }
  /** A host path, bound. */
  | { readonly kind: 'bind'; readonly device: string; readonly readOnly: boolean }
  /** A file system of that type. */
  | { readonly kind: 'filesystem'; readonly type: string }
  /** Options that can't be judged: unknown keys or words, or an incomplete set. */
  | { readonly kind: 'unclear'; readonly reason: string };

const keys = ['type', 'o', 'device', 'size'];

/** Words of `o` that change nothing about what is mounted. */
const bindWords = new Set([
  'bind',
  'rbind',
  'ro',
  'rw',
  'defaults',
  'private',
  'rprivate',
  'slave',
  'rslave',
  'nosuid',
  'suid',
  'nodev',
  'dev',
  'noexec',
  'exec',
  'noatime',
  'atime',
  'nodiratime',
  'diratime',
  'relatime',
  'norelatime',
  'strictatime',
]);
/** Words that turn a mount into an operation on another one (mount(2), MS_REMOUNT and MS_MOVE). */
const operationWords = ['remount', 'move', 'shared', 'rshared', 'unbindable', 'runbindable'];

/** Reads the options as the engine will. */
export function volumeKind(options: VolumeOptions): VolumeKind {
  const unknown = Object.keys(options).find((key) => !keys.includes(key));
  if (unknown !== undefined) return { kind: 'unclear', reason: `the option ${unknown} is unknown` };
  const { type = '', device = '', o = '' } = options;
  if (type === '' && device === '' && o === '') return { kind: 'plain' };
  const words = o === '' ? [] : o.split(',');
  // The kernel ignores the type once MS_BIND is set, so the words alone decide.
  if (words.includes('bind') || words.includes('rbind')) return bindKind(device, words);
  const operation = words.find((word) => operationWords.includes(word));
  if (operation !== undefined) return { kind: 'unclear', reason: `the mount option ${operation} is refused` };
  if (type === '') return { kind: 'unclear', reason: 'the file system type is missing' };
  return { kind: 'filesystem', type };
}

function bindKind(device: string, words: readonly string[]): VolumeKind {
  const unknown = words.find((word) => !bindWords.has(word));
  if (unknown !== undefined) return { kind: 'unclear', reason: `the mount option ${unknown} is refused` };
  if (!device.startsWith('/'))
    return { kind: 'unclear', reason: 'the device of a bind must be an absolute path' };
  return { kind: 'bind', device, readOnly: words.includes('ro') };
}

/** The host path behind a volume that is a bind. */
export function bindDevice(options: VolumeOptions): string | undefined {
  const found = volumeKind(options);
  return found.kind === 'bind' ? found.device : undefined;
}
