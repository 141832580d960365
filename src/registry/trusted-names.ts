/**
 * Which image names the settings trust with the Docker socket. Names only: whether an image deserves its name is told
 * by its digest. Pure.
 */
import type { Settings } from '../settings/schema.js';
import { repositoryPattern, wholeText } from './glob.js';
import { parseReference, type Reference, withDefaultTag } from './reference.js';

/** The entries of the image list that mean names: neither `*` alone nor digests. */
function trustedEntries(settings: Settings): readonly string[] {
  const { images } = settings.enhancedContainerIsolation.dockerSocketMount.imageList;
  return images.filter((entry) => entry !== '*' && !entry.includes('@'));
}

/** True when the settings trust any name at all. */
export function trustsNames(settings: Settings): boolean {
  return trustedEntries(settings).length > 0;
}

/** True when a name, in any spelling, is one that the settings trust. What isn't a name never is. */
export function isTrustedName(settings: Settings, name: string): boolean {
  const reference = readName(name);
  return reference !== undefined && trustedEntries(settings).some((entry) => entryMeans(entry, reference));
}

/**
 * The names that an exporter of BuildKit gives to a build's image (buildkit exporter/containerimage): a list with
 * commas. `*` stands for what the build itself says.
 */
export function exportedNames(attributes: readonly (readonly [string, string])[]): readonly string[] {
  return attributes
    .filter(([key]) => key === 'name')
    .flatMap(([, value]) => value.split(','))
    .map((name) => name.trim())
    .filter((name) => name !== '');
}

function readName(name: string): Reference | undefined {
  try {
    return withDefaultTag(parseReference(name));
  } catch {
    return undefined;
  }
}

function entryMeans(entry: string, { domain, path, tag }: Reference): boolean {
  const colon = entry.lastIndexOf(':');
  const hasTag = colon > entry.lastIndexOf('/');
  const wantedTag = hasTag ? entry.slice(colon + 1) : 'latest';
  if (wantedTag !== '*' && wantedTag !== tag) return false;
  const { domain: wantedDomain, path: glob } = splitEntry(hasTag ? entry.slice(0, colon) : entry);
  return wantedDomain === domain && wholeText(repositoryPattern(glob)).test(path);
}

/** As for references, with globs in the path: the first part is a registry when it looks like a host. */
function splitEntry(name: string): { readonly domain: string; readonly path: string } {
  const slash = name.indexOf('/');
  const first = slash === -1 ? '' : name.slice(0, slash);
  const isHost = first === 'localhost' || /[.:]/.test(first) || first.toLowerCase() !== first;
  const domain = isHost && first !== 'index.docker.io' ? first : 'docker.io';
  const path = isHost ? name.slice(slash + 1) : name;
  return { domain, path: domain === 'docker.io' && !path.includes('/') ? `library/${path}` : path };
}
