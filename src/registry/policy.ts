/**
 * What the registry settings say about one reference, host or URL: allowed, or the refusal in words. Pure; every door
 * (pull, push, builds, BuildKit's source policy) asks here, so that all of them say the same.
 */
import type { ImageAccess, RegistryAccess, RegistryEntry, Settings } from '../settings/schema.js';
import { type AddressPattern, addressPattern, normaliseAddress, tailsOf } from './address.js';
import { repositoryPattern, urlPattern, wholeText } from './glob.js';
import { parseReference, type Reference } from './reference.js';

export type RegistryAction = 'pull' | 'push';

/** Why something is refused. */
export interface RegistryRefusal {
  /** The registry's host, or the URL. */
  readonly target: string;
  /** The whole sentence that a user sees. */
  readonly text: string;
  /** The setting that decides. */
  readonly setting: string;
  /** What the user can do. */
  readonly remedy: string;
}

interface CompiledEntry {
  readonly entry: RegistryEntry;
  readonly repositories: readonly RegExp[] | undefined;
}

interface CompiledAccess {
  readonly exact: ReadonlyMap<string, readonly CompiledEntry[]>;
  /** By the tail of their pattern. */
  readonly wildcards: ReadonlyMap<string, readonly (CompiledEntry & { readonly pattern: AddressPattern })[]>;
  readonly urls: readonly RegExp[];
}

// Settings objects are replaced as a whole when the file changes, so that a compiled list never outlives its text.
const compiledAccess = new WeakMap<RegistryAccess, CompiledAccess>();

/** Repository globs of an entry; a short name on Docker Hub stands for `library/NAME`, as in `docker pull NAME`. */
export function repositoryGlobs(entry: RegistryEntry): readonly string[] | undefined {
  const hub = normaliseAddress(entry.address) === 'docker.io';
  return entry.repositories?.map((glob) =>
    hub && !glob.includes('/') && glob !== '**' ? `library/${glob}` : glob,
  );
}

function compile(access: RegistryAccess): CompiledAccess {
  const known = compiledAccess.get(access);
  if (known !== undefined) return known;
  const exact = new Map<string, CompiledEntry[]>();
  const wildcards = new Map<string, (CompiledEntry & { readonly pattern: AddressPattern })[]>();
  for (const entry of access.registries) {
    const address = normaliseAddress(entry.address);
    if (address === undefined) continue;
    const compiled = {
      entry,
      repositories: repositoryGlobs(entry)?.map((glob) => wholeText(repositoryPattern(glob))),
    };
    if (address.includes('*')) {
      const pattern = addressPattern(address);
      add(wildcards, pattern.tail, { ...compiled, pattern });
    } else add(exact, address, compiled);
  }
  const made = { exact, wildcards, urls: access.urls.map((glob) => wholeText(urlPattern(glob))) };
  compiledAccess.set(access, made);
  return made;
}

function add<Value>(map: Map<string, Value[]>, key: string, value: Value): void {
  const values = map.get(key);
  if (values === undefined) map.set(key, [value]);
  else values.push(value);
}

function entriesFor(address: string, access: RegistryAccess): readonly CompiledEntry[] {
  const normal = normaliseAddress(address);
  if (normal === undefined) return [];
  const { exact, wildcards } = compile(access);
  const named = exact.get(normal) ?? [];
  const possible = tailsOf(normal).flatMap((tail) => wildcards.get(tail) ?? []);
  return [...named, ...possible.filter(({ pattern }) => pattern.matches(normal))];
}

/** Whether entries name a host: by its very name, by a pattern, or not at all. */
export function listsHost(host: string, access: RegistryAccess): 'exact' | 'pattern' | undefined {
  const entries = entriesFor(host, access);
  if (entries.length === 0) return undefined;
  return entries.some(({ entry }) => !entry.address.includes('*')) ? 'exact' : 'pattern';
}

function restricted(host: string, detail: string): RegistryRefusal {
  const remedy =
    'To access this registry, ask your administrators to add it to registryAccess.registries in the cofferdam settings.';
  return {
    target: host,
    text: `registry access to ${host} is not allowed: Access to ${host} has been restricted by your administrators. ${detail}${remedy}`,
    setting: 'registryAccess.registries',
    remedy,
  };
}

/** True for names of Docker Hub, whichever of its hosts they name. */
export function isDockerHub(reference: Reference): boolean {
  return normaliseAddress(reference.domain) === 'docker.io';
}

/** The repository that a `repositories:NAME` entry of imageAccess names, in normal form. */
export function imageAccessRepository(name: string): string | undefined {
  try {
    const reference = parseReference(name);
    return isDockerHub(reference) ? reference.path : undefined;
  } catch {
    return undefined;
  }
}

function imageAllowed(path: string, access: ImageAccess): boolean {
  return access.allow.some((entry) => {
    if (entry === 'officialImages') return path.startsWith('library/');
    const [kind, name = ''] = [entry.slice(0, entry.indexOf(':')), entry.slice(entry.indexOf(':') + 1)];
    if (kind === 'organizations') return path.startsWith(`${name}/`);
    return kind === 'repositories' && imageAccessRepository(name) === path;
  });
}

function judgeImage(reference: Reference, settings: Settings): RegistryRefusal | undefined {
  const access = settings.imageAccess;
  if (!access.value || !isDockerHub(reference) || imageAllowed(reference.path, access)) return undefined;
  const remedy = `ask your administrators to allow docker.io/${reference.path} in imageAccess.allow of the cofferdam settings`;
  return {
    target: 'docker.io',
    text: `image access denied: community images not allowed (docker.io/${reference.path}); ${remedy}`,
    setting: 'imageAccess.allow',
    remedy,
  };
}

/** Whether the settings let `reference` be pulled or pushed. */
export function judgeRegistry(
  reference: Reference,
  action: RegistryAction,
  settings: Settings,
): RegistryRefusal | undefined {
  const access = settings.registryAccess;
  if (access.value) {
    const entries = entriesFor(reference.domain, access);
    if (entries.length === 0) return restricted(reference.domain, '');
    const forRepository = entries.filter(
      ({ repositories }) => repositories?.some((pattern) => pattern.test(reference.path)) ?? true,
    );
    if (forRepository.length === 0) {
      return restricted(
        reference.domain,
        `The repository ${reference.path} is not among those listed for it. `,
      );
    }
    if (!forRepository.some(({ entry }) => entry.allow?.includes(action) ?? true)) {
      return restricted(reference.domain, `The list does not allow to ${action} ${reference.path}. `);
    }
  }
  return action === 'pull' ? judgeImage(reference, settings) : undefined;
}

/** Whether the settings let the engine talk to a registry at all (login, search, a catalogue). */
export function judgeHost(host: string, settings: Settings): RegistryRefusal | undefined {
  if (!settings.registryAccess.value) return undefined;
  return entriesFor(host, settings.registryAccess).length > 0 ? undefined : restricted(host, '');
}

/** Whether the settings let the engine fetch from a URL (import, remote build contexts, ADD). */
export function judgeUrl(url: string, settings: Settings): RegistryRefusal | undefined {
  if (!settings.registryAccess.value) return undefined;
  if (compile(settings.registryAccess).urls.some((pattern) => pattern.test(url))) return undefined;
  const remedy =
    'ask your administrators to add the address to registryAccess.urls in the cofferdam settings';
  return {
    target: url,
    text: `registry access to ${url} is not allowed: Access to ${url} has been restricted by your administrators; ${remedy}.`,
    setting: 'registryAccess.urls',
    remedy,
  };
}
