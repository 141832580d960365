/**
 * Which images may mount the Docker socket: `dockerSocketMount.imageList`, matched by content. A name proves nothing
 * on a machine where anybody may tag: an image counts as a listed one when the registry serves its very digest under
 * the listed name, when the list names its digest or id, or when it was built on such an image here.
 */
import { enforcedLists } from '../settings/modes.js';
import type { Settings } from '../settings/schema.js';
import type { KnownManifest } from './digests.js';
import { judgeRegistry } from './policy.js';
import { parseReference, type Reference } from './reference.js';
import { type ListEntry, nameOf, SocketImageList } from './socket-image-list.js';

/** What of an image in the engine's store matters here. */
export interface StoredImage {
  /** `sha256:…`: of the configuration with overlay2, of the manifest or index with the containerd store. */
  readonly id: string;
  readonly repoDigests: readonly string[];
  /** `RootFS.Layers`, lowest first. */
  readonly layers: readonly string[];
}

/** An image as the store's list has it. */
export interface ListedImage {
  readonly id: string;
  readonly repoDigests: readonly string[];
  readonly repoTags: readonly string[];
}

export interface SocketImageSources {
  /** What the registry serves for a reference; undefined when it was never reached. */
  lookUp(reference: Reference): Promise<KnownManifest | undefined>;
  /** All images in the store. */
  images(): Promise<readonly ListedImage[]>;
  /** The layers of an image in the store, by its id; undefined when it is gone. */
  layers(id: string): Promise<readonly string[] | undefined>;
}

export type SocketImageVerdict =
  | {
      readonly allowed: true;
      readonly entry: string;
      readonly commandEntry?: string;
      readonly derivedFrom?: string;
      readonly warning?: string;
    }
  | { readonly allowed: false; readonly warning?: string };

type Marks = Pick<StoredImage, 'id' | 'repoDigests'>;

interface OwnDigest {
  readonly name: string;
  readonly digest: string;
  readonly reference: Reference;
}

const compiled = new WeakMap<readonly string[], SocketImageList>();

function listOf(images: readonly string[]): SocketImageList {
  const known = compiled.get(images);
  if (known !== undefined) return known;
  const made = new SocketImageList(images);
  compiled.set(images, made);
  return made;
}

const compiledOwn = new WeakMap<readonly { readonly image: string }[], SocketImageList>();

/** The images that have a command list of their own. */
function ownListOf(perImage: readonly { readonly image: string }[]): SocketImageList {
  const known = compiledOwn.get(perImage);
  if (known !== undefined) return known;
  const made = new SocketImageList(perImage.map(({ image }) => image));
  compiledOwn.set(perImage, made);
  return made;
}

/** The digests under which the store knows an image, by full name. */
function ownDigests(repoDigests: readonly string[]): readonly OwnDigest[] {
  return repoDigests.flatMap((text) => {
    const reference = readReference(text);
    const digest = reference?.digest;
    return digest === undefined || reference === undefined
      ? []
      : [{ name: nameOf(reference), digest, reference }];
  });
}

function readReference(text: string): Reference | undefined {
  try {
    return parseReference(text);
  } catch {
    return undefined;
  }
}

/** Judges images by the list; asks registries through the sources, which remember. */
export class SocketImages {
  readonly #sources: SocketImageSources;

  constructor(sources: SocketImageSources) {
    this.#sources = sources;
  }

  /** Whether a container of this image may mount the socket, and whose command list holds for it. */
  async judge(image: StoredImage, settings: Settings): Promise<SocketImageVerdict> {
    const { imageList, perImage } = settings.enhancedContainerIsolation.dockerSocketMount;
    const list = listOf(imageList.images);
    const warnings: string[] = [];
    const ownEntry = async (...images: readonly Marks[]) => {
      for (const marks of perImage.length === 0 ? [] : images) {
        const commandEntry = (await this.#entryFor(marks, ownListOf(perImage), warnings))?.text;
        if (commandEntry !== undefined) return { commandEntry };
      }
      return {};
    };
    const entry = await this.#entryFor(image, list, warnings);
    if (entry !== undefined) {
      return { allowed: true, entry: entry.text, ...(await ownEntry(image)), ...first(warnings) };
    }
    if (imageList.allowDerivedImages && !(await this.#isPublished(image, settings))) {
      const parent = await this.#parentOf(image, list, warnings);
      if (parent !== undefined) {
        const { entry: text, name: derivedFrom, marks } = parent;
        const own = await ownEntry(image, marks);
        return { allowed: true, entry: text, ...own, derivedFrom, ...first(warnings) };
      }
    }
    return { allowed: false, ...first(warnings) };
  }

  async #entryFor(
    { id, repoDigests }: Marks,
    list: SocketImageList,
    warnings: string[],
  ): Promise<ListEntry | undefined> {
    const digests = ownDigests(repoDigests);
    for (const entry of list.entriesFor({ id, digests })) {
      if (await this.#matches(entry, id, digests, warnings)) return entry;
    }
    return undefined;
  }

  async #matches(
    entry: ListEntry,
    id: string,
    digests: readonly OwnDigest[],
    warnings: string[],
  ): Promise<boolean> {
    switch (entry.kind) {
      case 'any':
        return true;
      case 'digest': {
        const named = ({ name }: OwnDigest) => entry.name === undefined || name === entry.name;
        return id === entry.digest || digests.some((own) => own.digest === entry.digest && named(own));
      }
      case 'tag':
        return this.#serves(entry.reference, digests, warnings);
      case 'name':
        return this.#hasAny(entry.matches, digests, warnings);
    }
  }

  /** The registry's tag is this very image: the digest that it serves, or one of the index that it serves. */
  async #serves(reference: Reference, digests: readonly OwnDigest[], warnings: string[]): Promise<boolean> {
    const wanted = nameOf(reference);
    const own = digests.filter(({ name }) => name === wanted);
    if (own.length === 0) return false;
    const served = (await this.#lookUp(reference, warnings))?.manifest;
    if (served === undefined) return false;
    return own.some(({ digest }) => served.digest === digest || served.manifests.includes(digest));
  }

  /** The registry has this digest under a name that matches: what the store says could come from a local tag. */
  async #hasAny(
    matches: (name: string) => boolean,
    digests: readonly OwnDigest[],
    warnings: string[],
  ): Promise<boolean> {
    for (const { name, reference } of digests) {
      if (matches(name) && (await this.#lookUp(reference, warnings))?.manifest !== undefined) return true;
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

  /**
   * Whether a registry has the image: then it is somebody's image of its own, and not one that was built here. With
   * overlay2 only a pull or a push gives an image a digest of a repository, which is another one than its id. The
   * containerd store gives one to local images as well, so that the registry is asked; never one that may not be
   * reached: nothing can have been pulled from there.
   */
  async #isPublished({ id, repoDigests }: StoredImage, settings: Settings): Promise<boolean> {
    const digests = ownDigests(repoDigests);
    if (digests.some(({ digest }) => digest !== id)) return true;
    for (const { reference } of digests) {
      const reachable = judgeRegistry(reference, 'pull', enforcedLists(settings)) === undefined;
      if (reachable && (await this.#sources.lookUp(reference))?.manifest !== undefined) return true;
    }
    return false;
  }

  /** A listed image in the store whose layers are the lowest ones of this image. */
  async #parentOf(
    image: StoredImage,
    list: SocketImageList,
    warnings: string[],
  ): Promise<{ readonly entry: string; readonly name: string; readonly marks: Marks } | undefined> {
    if (image.layers.length === 0) return undefined;
    for (const candidate of await this.#sources.images()) {
      const name = meantName(candidate, list);
      if (name === undefined || candidate.id === image.id) continue;
      const layers = await this.#sources.layers(candidate.id);
      if (layers === undefined || !beginsWith(image.layers, layers)) continue;
      const entry = await this.#entryFor(candidate, list, warnings);
      // `*` says nothing about where an image comes from.
      if (entry !== undefined && entry.kind !== 'any') return { entry: entry.text, name, marks: candidate };
    }
    return undefined;
  }
}

/** The first name of an image that the list could mean. */
function meantName({ repoTags, repoDigests }: ListedImage, list: SocketImageList): string | undefined {
  return [...repoTags, ...repoDigests].find((text) => {
    const reference = readReference(text);
    return reference !== undefined && list.couldName(nameOf(reference));
  });
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
