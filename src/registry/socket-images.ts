/**
 * Which images may mount the Docker socket: `dockerSocketMount.imageList`, matched by content. A name proves nothing
 * on a machine where anybody may tag: an image counts as a listed one when the registry serves its very digest under
 * the listed name, when the list names its digest or id, or when it was built on such an image.
 */
import micromatch from 'micromatch';
import type { Settings } from '../settings/schema.js';
import type { KnownManifest } from './digests.js';
import { parseReference, type Reference, withDefaultTag } from './reference.js';

/** What of an image in the engine's store matters here. */
export interface StoredImage {
  /** `sha256:…`: of the configuration with overlay2, of the manifest or index with the containerd store. */
  readonly id: string;
  readonly repoDigests: readonly string[];
  /** `RootFS.Layers`, lowest first. */
  readonly layers: readonly string[];
}

export interface SocketImageSources {
  /** What the registry serves for a reference; undefined when it was never reached. */
  lookUp(reference: Reference): Promise<KnownManifest | undefined>;
  /** The image in the store by reference or id. */
  image(reference: string): Promise<StoredImage | undefined>;
  /** Names (`RepoTags` and `RepoDigests`) of all images in the store. */
  imageNames(): Promise<readonly string[]>;
}

export type SocketImageVerdict =
  | {
      readonly allowed: true;
      readonly entry: string;
      readonly derivedFrom?: string;
      readonly warning?: string;
    }
  | { readonly allowed: false; readonly warning?: string };

type Entry =
  | { readonly kind: 'any'; readonly text: string }
  | {
      readonly kind: 'digest';
      readonly text: string;
      readonly digest: string;
      readonly name: string | undefined;
    }
  | { readonly kind: 'tag'; readonly text: string; readonly reference: Reference }
  | { readonly kind: 'name'; readonly text: string; matches(name: string): boolean };

const compiled = new WeakMap<readonly string[], readonly Entry[]>();

function entriesOf(images: readonly string[]): readonly Entry[] {
  const known = compiled.get(images);
  if (known !== undefined) return known;
  const entries = images.flatMap((text) => parseEntry(text) ?? []);
  compiled.set(images, entries);
  return entries;
}

/** An entry of the list; undefined for one that can't match anything. */
function parseEntry(text: string): Entry | undefined {
  if (text === '*') return { kind: 'any', text };
  if (/^sha256:[0-9a-f]{64}$/.test(text)) return { kind: 'digest', text, digest: text, name: undefined };
  const anyTag = text.endsWith(':*');
  const name = anyTag ? text.slice(0, -2) : text;
  if (/[*?{[!(]/.test(name)) return globEntry(text, name);
  try {
    const reference = parseReference(name);
    if (reference.digest !== undefined) {
      return { kind: 'digest', text, digest: reference.digest, name: nameOf(reference) };
    }
    if (!anyTag) return { kind: 'tag', text, reference: withDefaultTag(reference) };
    const wanted = nameOf(reference);
    return { kind: 'name', text, matches: (candidate) => candidate === wanted };
  } catch {
    return undefined;
  }
}

/** A glob over full names; the registry must be named, unless it is Docker Hub's. */
function globEntry(text: string, name: string): Entry {
  const [first = ''] = name.split('/', 1);
  const domain = name.includes('/') && (/[.:]/.test(first) || first === 'localhost');
  const pattern = domain ? name : `docker.io/${name.includes('/') ? '' : 'library/'}${name}`;
  const matcher = micromatch.matcher(pattern, { nonegate: true });
  return { kind: 'name', text, matches: (candidate) => matcher(candidate) };
}

function nameOf({ domain, path }: Reference): string {
  return `${domain}/${path}`;
}

/** The digests under which the store knows the image, by full name. */
function digestsByName(
  image: StoredImage,
): readonly { readonly name: string; readonly reference: Reference }[] {
  return image.repoDigests.flatMap((text) => {
    try {
      const reference = parseReference(text);
      return reference.digest === undefined ? [] : [{ name: nameOf(reference), reference }];
    } catch {
      return [];
    }
  });
}

/** Judges images by the list; asks registries through the sources, which remember. */
export class SocketImages {
  readonly #sources: SocketImageSources;

  constructor(sources: SocketImageSources) {
    this.#sources = sources;
  }

  /** Whether a container of this image may mount the socket. */
  async judge(image: StoredImage, settings: Settings): Promise<SocketImageVerdict> {
    const { images, allowDerivedImages } = settings.enhancedContainerIsolation.dockerSocketMount.imageList;
    const entries = entriesOf(images);
    const warnings: string[] = [];
    for (const entry of entries) {
      if (await this.#matches(entry, image, warnings))
        return { allowed: true, entry: entry.text, ...first(warnings) };
    }
    if (allowDerivedImages) {
      const parent = await this.#parentOf(image, entries, warnings);
      if (parent !== undefined) {
        return { allowed: true, entry: parent.entry, derivedFrom: parent.name, ...first(warnings) };
      }
    }
    return { allowed: false, ...first(warnings) };
  }

  async #matches(entry: Entry, image: StoredImage, warnings: string[]): Promise<boolean> {
    switch (entry.kind) {
      case 'any':
        return true;
      case 'digest':
        return (
          image.id === entry.digest ||
          digestsByName(image).some(
            ({ name, reference }) =>
              reference.digest === entry.digest && (entry.name === undefined || name === entry.name),
          )
        );
      case 'tag':
        return this.#serves(entry.reference, image, warnings);
      case 'name':
        return this.#hasAny(entry, image, warnings);
    }
  }

  /** The registry's tag is this very image: the digest that it serves, or one of the index that it serves. */
  async #serves(reference: Reference, image: StoredImage, warnings: string[]): Promise<boolean> {
    const wanted = nameOf(reference);
    const own = digestsByName(image).filter(({ name }) => name === wanted);
    if (own.length === 0) return false;
    const known = await this.#lookUp(reference, warnings);
    const served = known?.manifest;
    if (served === undefined) return false;
    return own.some(
      ({ reference: { digest = '' } }) => served.digest === digest || served.manifests.includes(digest),
    );
  }

  /** The registry has this digest under a name that matches: what the store says could come from a local tag. */
  async #hasAny(
    entry: Extract<Entry, { kind: 'name' }>,
    image: StoredImage,
    warnings: string[],
  ): Promise<boolean> {
    for (const { name, reference } of digestsByName(image)) {
      if (entry.matches(name) && (await this.#lookUp(reference, warnings))?.manifest !== undefined)
        return true;
    }
    return false;
  }

  async #lookUp(reference: Reference, warnings: string[]): Promise<KnownManifest | undefined> {
    const known = await this.#sources.lookUp(reference);
    const name = `${nameOf(reference)}:${reference.tag ?? reference.digest ?? ''}`;
    if (known === undefined)
      warnings.push(`the registry of ${name} can't be reached, and its digest isn't known`);
    else if (known.problem !== undefined) {
      const since = new Date(known.checkedAt).toISOString();
      warnings.push(`the registry of ${name} can't be reached; its digest is the one of ${since}`);
    }
    return known;
  }

  /** A listed image in the store whose layers are the lowest ones of this image. */
  async #parentOf(
    image: StoredImage,
    entries: readonly Entry[],
    warnings: string[],
  ): Promise<{ readonly entry: string; readonly name: string } | undefined> {
    for (const name of await this.#candidates(entries)) {
      const parent = await this.#sources.image(name);
      if (parent === undefined || !beginsWith(image.layers, parent.layers)) continue;
      for (const entry of entries) {
        if (await this.#matches(entry, parent, warnings)) return { entry: entry.text, name };
      }
    }
    return undefined;
  }

  /** Names in the store that an entry could mean. */
  async #candidates(entries: readonly Entry[]): Promise<ReadonlySet<string>> {
    const names = await this.#sources.imageNames();
    return new Set(names.filter((text) => entries.some((entry) => couldName(entry, text))));
  }
}

function couldName(entry: Entry, text: string): boolean {
  if (entry.kind === 'any') return false;
  try {
    const name = nameOf(parseReference(text));
    if (entry.kind === 'tag') return nameOf(entry.reference) === name;
    return entry.kind === 'digest' ? entry.name === undefined || entry.name === name : entry.matches(name);
  } catch {
    return false;
  }
}

/** True when all of the parent's layers, at least one, are the image's lowest, and the image has more or as many. */
function beginsWith(layers: readonly string[], parent: readonly string[]): boolean {
  return (
    parent.length > 0 &&
    parent.length <= layers.length &&
    parent.every((layer, index) => layers[index] === layer)
  );
}

function first(warnings: readonly string[]): { readonly warning?: string } {
  const [warning] = warnings;
  return warning === undefined ? {} : { warning };
}
