/**
 * Judges an archive for `docker load` while it streams by: the names that it gives to images must not be ones that the
 * settings trust with the Docker socket. The files that carry names are read, whatever folder they are in; of
 * everything else only the headers. An archive that can't be read for sure is refused.
 * Source: moby daemon/internal/image/tarexport/load.go, containerd core/images/archive/importer.go.
 */
import { posix } from 'node:path';
import type { Settings } from '../settings/schema.js';
import { type ArchiveContent, ArchiveJudge } from './archive-judge.js';
import type { StreamJudge, StreamRefusal } from './stream-judge.js';
import { type TarEntry, TarProblem, TarReader } from './tar-reader.js';
import { isTrustedName, trustsNames } from './trusted-names.js';

/** Files by which engines of either image store learn an image's names. */
const nameFiles: ReadonlySet<string> = new Set(['manifest.json', 'repositories', 'index.json']);
const nameFileMax = 8 << 20;
/** An archive with more names than this isn't one that anybody made to be loaded. */
const namesMax = 10_000;

const setting = 'enhancedContainerIsolation.dockerSocketMount.imageList';

/** The judge of an archive; absent while no name is trusted, and none needs guarding. */
export function loadedImageJudgeFor(settings: Settings): StreamJudge | undefined {
  return settings.enhancedContainerIsolation.value && trustsNames(settings)
    ? new ArchiveJudge(new LoadedImage(settings))
    : undefined;
}

class NameFiles {
  #pieces: Uint8Array[] = [];
  #current = '';
  /** Files that were read and not yet judged. */
  readonly found: { readonly file: string; readonly text: string }[] = [];

  entry({ name, type, size }: TarEntry): boolean {
    this.#current = posix.basename(posix.normalize(name));
    if (!nameFiles.has(this.#current)) return false;
    if (type === 'directory') return false;
    if (type !== 'file') throw new TarProblem(`${JSON.stringify(name)} is no plain file`);
    if (size > nameFileMax) throw new TarProblem(`${JSON.stringify(name)} is too long`);
    return true;
  }

  content(piece: Uint8Array): void {
    this.#pieces.push(Uint8Array.from(piece));
  }

  complete(): void {
    this.found.push({ file: this.#current, text: Buffer.concat(this.#pieces).toString('utf8') });
    this.#pieces = [];
  }
}

class LoadedImage implements ArchiveContent {
  readonly reader: TarReader;
  readonly #settings: Settings;
  readonly #files = new NameFiles();

  constructor(settings: Settings) {
    this.#settings = settings;
    this.reader = new TarReader(this.#files);
  }

  refusalOf(error: unknown): StreamRefusal | undefined {
    if (!(error instanceof TarProblem)) return undefined;
    return refusal(`the archive can't be read for sure: ${error.message}`);
  }

  async inspect(): Promise<StreamRefusal | undefined> {
    for (const { file, text } of this.#files.found.splice(0)) {
      const name = namesIn(file, text).find((candidate) => isTrustedName(this.#settings, candidate));
      if (name !== undefined) return refusal(`the archive gives the name ${name} to an image`);
    }
    return undefined;
  }
}

/**
 * Every name that a reader could find: each string of the text, whatever key it stands under and however often; in
 * `repositories`, which keeps names and tags apart, each pair of them.
 */
function namesIn(file: string, text: string): readonly string[] {
  const strings = [
    ...new Set([...text.matchAll(/"(?:[^"\\]|\\.)*"/gs)].map(([literal]) => unquoted(literal))),
  ];
  if (strings.length > namesMax) throw new TarProblem('it has too many names');
  if (file !== 'repositories') return strings;
  const repositories = strings.filter((one) => /^[\w.:/-]{1,255}$/.test(one));
  const tags = strings.filter((one) => /^\w[\w.-]{0,127}$/.test(one));
  if (repositories.length * tags.length > namesMax) throw new TarProblem('it has too many names');
  return [...strings, ...repositories.flatMap((name) => tags.map((tag) => `${name}:${tag}`))];
}

function unquoted(literal: string): string {
  try {
    return String(JSON.parse(literal));
  } catch {
    return literal.slice(1, -1);
  }
}

function refusal(what: string): StreamRefusal {
  return {
    kind: 'deny',
    text: `enhanced container isolation: ${what}; names that are trusted with the Docker socket can't be given to other images (setting ${setting}). Pull the image from its registry, or give it another name.`,
    setting,
  };
}
