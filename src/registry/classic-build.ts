/**
 * Judges a classic build (`POST /build` without `version=2`) while its context streams by. Every chunk is read before
 * it goes on, so the engine never gets a Dockerfile, nor the end of the archive, that wasn't judged; nothing of the
 * context is kept. On a refusal the connection to the engine must be destroyed, never ended: an archive that simply
 * stops looks complete to some readers.
 */
import { posix } from 'node:path';
import type { Settings } from '../settings/schema.js';
import { type ArchiveContent, ArchiveJudge } from './archive-judge.js';
import {
  type DockerfileNeed,
  DockerfileUnsure,
  dockerfileMax,
  dockerfileNeeds,
  triggerNeeds,
} from './dockerfile.js';
import { judgeRegistry, judgeUrl } from './policy.js';
import { parseReference } from './reference.js';
import type { StreamJudge, StreamRefusal } from './stream-judge.js';
import { type TarEntry, TarProblem, TarReader } from './tar-reader.js';

/** What the judge needs to know about the build and the engine. */
export interface ClassicBuildContext {
  readonly settings: Settings;
  /** The query parameters of the build that matter here. */
  readonly dockerfile: string;
  readonly buildArguments: ReadonlyMap<string, string | null>;
  readonly pull: boolean;
  readonly platform: string;
  /** The image in the engine's store, with its `Config.OnBuild`; undefined when it isn't there. */
  localImage(reference: string): Promise<{ readonly onBuild: readonly string[] } | undefined>;
}

const setting = 'registryAccess.registries';

function refusal(text: string, why = setting): StreamRefusal {
  return { kind: 'deny', text, setting: why };
}

/** The refusal of a build whose images can't be known. */
export function unsureRefusal(what: string): StreamRefusal {
  return refusal(
    `registry access: the images that this build needs can't be known for sure: ${what}. Build with \`docker buildx build\`. (setting ${setting})`,
  );
}

/** A path inside the context, or undefined when it climbs out of it. */
function contextPath(name: string): string | undefined {
  const path = posix.normalize(`./${name}`).replace(/\/+$/, '');
  return path === '..' || path.startsWith('../') ? undefined : path;
}

async function judgeNeed(
  need: DockerfileNeed,
  context: ClassicBuildContext,
): Promise<StreamRefusal | undefined> {
  if (need.kind === 'address') {
    const refused = judgeUrl(need.url, context.settings);
    return refused === undefined
      ? undefined
      : refusal(`${refused.text} (Dockerfile line ${need.line})`, refused.setting);
  }
  const where = `(Dockerfile line ${need.line})`;
  const fixed = !context.pull && !need.platform && context.platform === '';
  const local = fixed ? await context.localImage(need.image) : undefined;
  let refused: ReturnType<typeof judgeRegistry>;
  try {
    refused = judgeRegistry(parseReference(need.image), 'pull', context.settings);
  } catch {
    // An image id: only the store can have it.
    if (local === undefined)
      return refusal(`registry access: ${JSON.stringify(need.image)} is no image ${where}`);
  }
  const listed = refused === undefined;
  if (refused !== undefined && !(context.settings.registryAccess.localImages && local !== undefined)) {
    return refusal(`${refused.text} ${where}`, refused.setting);
  }
  if (need.kind === 'copied') return undefined;
  if (local === undefined && listed) {
    const text = `registry access: what the base image ${need.image} adds to the build (ONBUILD) can't be known before it is here ${where}. Run \`docker pull ${need.image}\` first, and build without --pull and --platform; or build with \`docker buildx build\`. (setting ${setting})`;
    return refusal(text);
  }
  return judgeNeeds(triggerNeeds(local?.onBuild ?? []), context);
}

async function judgeNeeds(
  needs: readonly DockerfileNeed[],
  context: ClassicBuildContext,
): Promise<StreamRefusal | undefined> {
  for (const need of needs) {
    const refused = await judgeNeed(need, context);
    if (refused !== undefined) return refused;
  }
  return undefined;
}

/** Follows the archive: collects Dockerfiles, and notices what could put another file in their place. */
class ContextWatch {
  readonly #dockerfiles: ReadonlySet<string>;
  readonly #links = new Set<string>();
  #pieces: Uint8Array[] = [];
  /** Dockerfiles read and not yet judged. */
  readonly found: string[] = [];
  seen = false;

  constructor(dockerfile: string) {
    const path = contextPath(dockerfile === '' ? 'Dockerfile' : dockerfile);
    if (path === undefined) throw new DockerfileUnsure('the Dockerfile lies outside of the context');
    // Without a Dockerfile the engine takes one in lower case.
    this.#dockerfiles = new Set(path === 'Dockerfile' ? [path, 'dockerfile'] : [path]);
  }

  entry({ name, type, size }: TarEntry): boolean {
    const path = contextPath(name);
    if (path === undefined)
      throw new TarProblem(`the entry ${JSON.stringify(name)} climbs out of the context`);
    const folders = path.split('/').slice(0, -1);
    for (let depth = 1; depth <= folders.length; depth += 1) {
      if (this.#links.has(folders.slice(0, depth).join('/'))) {
        throw new TarProblem(`the entry ${JSON.stringify(name)} lies behind a symbolic link`);
      }
    }
    const leads = [...this.#dockerfiles].some((file) => file === path || file.startsWith(`${path}/`));
    if (leads && type !== 'directory' && !(type === 'file' && this.#dockerfiles.has(path))) {
      throw new TarProblem(`the Dockerfile is reached by ${JSON.stringify(name)}, which is no plain file`);
    }
    if (type === 'symbolic-link') this.#links.add(path);
    const wanted = type === 'file' && this.#dockerfiles.has(path);
    if (wanted && size > dockerfileMax) throw new DockerfileUnsure('the Dockerfile is longer than 1 MiB');
    if (wanted && size === 0) this.seen = true;
    return wanted;
  }

  content(piece: Uint8Array): void {
    this.#pieces.push(Uint8Array.from(piece));
  }

  complete(): void {
    this.seen = true;
    this.found.push(Buffer.concat(this.#pieces).toString('utf8'));
    this.#pieces = [];
  }
}

class BuildContext implements ArchiveContent {
  readonly reader: TarReader;
  readonly #context: ClassicBuildContext;
  readonly #watch: ContextWatch;

  constructor(context: ClassicBuildContext) {
    this.#context = context;
    this.#watch = new ContextWatch(context.dockerfile);
    this.reader = new TarReader(this.#watch);
  }

  refusalOf(error: unknown): StreamRefusal | undefined {
    const unsure = error instanceof TarProblem || error instanceof DockerfileUnsure;
    return unsure ? unsureRefusal(error.message) : undefined;
  }

  async inspect(): Promise<StreamRefusal | undefined> {
    const refused = await this.#judgeFound();
    if (refused !== undefined) return refused;
    return this.reader.ended && !this.#watch.seen
      ? unsureRefusal('the context has no such Dockerfile')
      : undefined;
  }

  async #judgeFound(): Promise<StreamRefusal | undefined> {
    for (const source of this.#watch.found.splice(0)) {
      const refused = await judgeNeeds(dockerfileNeeds(source, this.#context.buildArguments), this.#context);
      if (refused !== undefined) return refused;
    }
    return undefined;
  }
}

/** A judge for the body of one classic build. @throws DockerfileUnsure when the Dockerfile's path is out of bounds */
export function classicBuildJudge(context: ClassicBuildContext): StreamJudge {
  return new ArchiveJudge(new BuildContext(context));
}
