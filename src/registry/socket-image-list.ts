/**
 * `dockerSocketMount.imageList.images`, ready to be asked: which entries could mean an image, without going through
 * all of them. Lists of ten thousand entries cost a look-up. Pure.
 */
import micromatch from 'micromatch';
import { parseReference, type Reference, withDefaultTag } from './reference.js';

interface Place {
  /** The entry as it was written. */
  readonly text: string;
  /** Where it stands in the list: the first entry that allows an image decides which command list holds. */
  readonly order: number;
}

export type ListEntry = Place &
  (
    | { readonly kind: 'any' }
    | { readonly kind: 'digest'; readonly digest: string; readonly name: string | undefined }
    | { readonly kind: 'tag'; readonly reference: Reference }
    | { readonly kind: 'name'; readonly matches: (name: string) => boolean }
  );

/** What an image is known by: its id, and its digests by full name. */
export interface ImageMarks {
  readonly id: string;
  readonly digests: readonly { readonly name: string; readonly digest: string }[];
}

/** Names whose globs are remembered; more are asked anew. */
const rememberedMax = 4096;

export class SocketImageList {
  readonly #any: ListEntry[] = [];
  readonly #byDigest = new Map<string, ListEntry[]>();
  /** Entries that name a repository in full. */
  readonly #byName = new Map<string, ListEntry[]>();
  /** Globs by the components before the first wildcard. */
  readonly #globs = new Map<string, ListEntry[]>();
  readonly #remembered = new Map<string, readonly ListEntry[]>();
  #hasBareDigests = false;

  constructor(images: readonly string[]) {
    for (const [order, text] of images.entries()) this.#add(text, order);
  }

  /** The entries that could mean an image, in the order of the list. */
  entriesFor({ id, digests }: ImageMarks): readonly ListEntry[] {
    const found = new Set<ListEntry>([...this.#any, ...(this.#byDigest.get(id) ?? [])]);
    for (const { name, digest } of digests) {
      for (const entry of this.#byDigest.get(digest) ?? []) found.add(entry);
      for (const entry of this.#namedBy(name)) if (entry.kind !== 'digest') found.add(entry);
    }
    return [...found].sort((left, right) => left.order - right.order);
  }

  /** Whether an image of this full name could be meant by an entry other than `*`. */
  couldName(name: string): boolean {
    return this.#hasBareDigests || this.#namedBy(name).length > 0;
  }

  #add(text: string, order: number): void {
    if (text === '*') this.#any.push({ kind: 'any', text, order });
    else if (/^sha256:[0-9a-f]{64}$/.test(text)) {
      this.#hasBareDigests = true;
      add(this.#byDigest, text, { kind: 'digest', text, order, digest: text, name: undefined });
    } else if (/[*?{[!(]/.test(withoutAnyTag(text))) this.#addGlob(text, order);
    else this.#addName(text, order);
  }

  #addName(text: string, order: number): void {
    let reference: Reference;
    try {
      reference = parseReference(withoutAnyTag(text));
    } catch {
      // It can't match anything.
      return;
    }
    const name = nameOf(reference);
    const { digest } = reference;
    if (digest !== undefined) {
      const entry: ListEntry = { kind: 'digest', text, order, digest, name };
      add(this.#byDigest, digest, entry);
      add(this.#byName, name, entry);
    } else if (text.endsWith(':*')) {
      add(this.#byName, name, { kind: 'name', text, order, matches: (candidate) => candidate === name });
    } else add(this.#byName, name, { kind: 'tag', text, order, reference: withDefaultTag(reference) });
  }

  /** A glob over full names; the registry must be named, unless it is Docker Hub's. */
  #addGlob(text: string, order: number): void {
    const name = withoutAnyTag(text);
    const [first = ''] = name.split('/', 1);
    const domain = name.includes('/') && (/[.:]/.test(first) || first === 'localhost');
    const pattern = domain ? name : `docker.io/${name.includes('/') ? '' : 'library/'}${name}`;
    let matcher: ((candidate: string) => boolean) | undefined;
    const matches = (candidate: string): boolean => {
      matcher ??= micromatch.matcher(pattern, { nonegate: true });
      return matcher(candidate);
    };
    const components = pattern.split('/');
    const literal = components.findIndex((component) => /[*?{}[\]!()+@|\\]/.test(component));
    const prefix = components.slice(0, literal === -1 ? components.length : literal).join('/');
    add(this.#globs, prefix, { kind: 'name', text, order, matches });
  }

  #namedBy(name: string): readonly ListEntry[] {
    const known = this.#remembered.get(name);
    if (known !== undefined) return known;
    const components = name.split('/');
    const prefixes = components.map((_, length) => components.slice(0, length).join('/')).concat(name);
    const globs = prefixes.flatMap((prefix) => this.#globs.get(prefix) ?? []);
    const found = [
      ...(this.#byName.get(name) ?? []),
      ...globs.filter((entry) => entry.kind === 'name' && entry.matches(name)),
    ];
    if (this.#remembered.size >= rememberedMax) this.#remembered.clear();
    this.#remembered.set(name, found);
    return found;
  }
}

/** Registry and repository path. */
export function nameOf({ domain, path }: Reference): string {
  return `${domain}/${path}`;
}

function withoutAnyTag(text: string): string {
  return text.endsWith(':*') ? text.slice(0, -2) : text;
}

function add<Value>(map: Map<string, Value[]>, key: string, value: Value): void {
  const values = map.get(key);
  if (values === undefined) map.set(key, [value]);
  else values.push(value);
}
