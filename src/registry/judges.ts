/**
 * The registry judges of a request's stream, wired to the engine: what the proxy asks for when it carries BuildKit's
 * calls or a build's context. Reads from the engine only what they need to know about images in its store.
 */
import { z } from 'zod';
import { EngineError } from '../engine/client.js';
import { enforcedLists } from '../settings/modes.js';
import type { Settings } from '../settings/schema.js';
import type { GrpcJudge } from './buildkit/grpc-judge.js';
import { type BuildkitContext, buildkitJudge } from './buildkit/judge.js';
import { classicBuildJudge, unsureRefusal } from './classic-build.js';
import { copiedArchiveJudgeFor } from './copied-archive.js';
import { DockerfileUnsure } from './dockerfile.js';
import { loadedImageJudgeFor } from './loaded-image.js';
import type { StreamJudge } from './stream-judge.js';

interface ImageNames {
  readonly Id: string;
  readonly RepoTags: readonly string[];
  readonly RepoDigests: readonly string[];
}

/** The calls of the engine client that are used here. */
export interface ImageSource {
  /** The images in the engine's store, by their tags and repository digests. */
  listImages(): Promise<readonly ImageNames[]>;
  get<Answer>(path: string, schema: z.ZodType<Answer>): Promise<Answer>;
}

/** What the judges need of a request that was judged by the rules. */
export interface BuildRequest {
  readonly route: { readonly name: string };
  readonly query: ReadonlyMap<string, readonly string[]>;
  readonly engine: { readonly version: string };
  readonly settings: Settings;
}

const imageSchema = z.object({
  Config: z.object({ OnBuild: z.array(z.string()).nullish() }).nullish(),
});
const buildArgumentsSchema = z.record(z.string(), z.string().nullable()).nullable();

async function localImage(
  engine: ImageSource,
  reference: string,
): Promise<{ readonly onBuild: readonly string[] } | undefined> {
  const path = reference.split('/').map(encodeURIComponent).join('/');
  try {
    const image = await engine.get(`/images/${path}/json`, imageSchema);
    return { onBuild: image.Config?.OnBuild ?? [] };
  } catch (error) {
    if (error instanceof EngineError && (error.status === 404 || error.status === 400)) return undefined;
    throw error;
  }
}

const storeSchema = z.object({ DriverStatus: z.array(z.array(z.string())).nullish() });

/** Whether images are kept in containerd's store, where an image's id is the digest of its manifest. */
async function keepsManifests(engine: ImageSource): Promise<boolean> {
  const { DriverStatus } = await engine.get('/info', storeSchema);
  return (DriverStatus ?? []).some(
    ([name, value]) => name === 'driver-type' && value?.startsWith('io.containerd.snapshotter.'),
  );
}

/** An engine that was found to be another one has other facts; one that runs keeps its store. */
const stores = new WeakMap<BuildRequest['engine'], Promise<boolean>>();

function storeOf(facts: BuildRequest['engine'], engine: ImageSource): Promise<boolean> {
  const known = stores.get(facts);
  if (known !== undefined) return known;
  const asked = keepsManifests(engine);
  stores.set(facts, asked);
  asked.catch(() => stores.delete(facts));
  return asked;
}

/** Every name by which BuildKit finds the engine's images in the store: by a tag and a digest at once, too. */
async function localNames(facts: BuildRequest['engine'], engine: ImageSource): Promise<readonly string[]> {
  const [images, manifests] = await Promise.all([engine.listImages(), storeOf(facts, engine)]);
  return images.flatMap(({ Id, RepoTags, RepoDigests }) => {
    const pinned = RepoTags.flatMap((tagged) => {
      if (manifests) return [`${tagged}@${Id}`];
      const repository = tagged.slice(0, tagged.lastIndexOf(':'));
      return RepoDigests.filter((named) => named.startsWith(`${repository}@`)).map(
        (named) => tagged + named.slice(repository.length),
      );
    });
    return [...RepoTags, ...RepoDigests, ...pinned];
  });
}

/**
 * The judge of one connection to BuildKit (`build.grpc`).
 * @param pushRefusal why the client may not push, where it may not
 */
export function grpcJudgeFor(
  request: BuildRequest,
  engine: ImageSource,
  settings: { readonly current: Settings },
  pushRefusal?: BuildkitContext['pushRefusal'],
): GrpcJudge {
  return buildkitJudge({
    settings: () => enforcedLists(settings.current),
    engineVersion: request.engine.version,
    localImages: () => localNames(request.engine, engine),
    pushRefusal,
  });
}

function query(request: BuildRequest, name: string): string {
  return request.query.get(name)?.[0] ?? '';
}

// As moby's httputils.BoolValue: everything but these is true.
function isSet(request: BuildRequest, name: string): boolean {
  return !['', '0', 'no', 'false', 'none'].includes(query(request, name).trim().toLowerCase());
}

function buildArguments(text: string): ReadonlyMap<string, string | null> {
  if (text === '') return new Map();
  try {
    return new Map(Object.entries(buildArgumentsSchema.parse(JSON.parse(text)) ?? {}));
  } catch (error) {
    throw new DockerfileUnsure("the build's arguments are no JSON object of texts", { cause: error });
  }
}

/**
 * The judge of a request's body, for the requests that need one: classic builds while registries are restricted,
 * archives of images while names are trusted with the Docker socket, and what is copied into containers.
 * @param begin how the body begins, where that is known
 */
export function streamJudgeFor(
  request: BuildRequest,
  engine: ImageSource,
  begin?: Buffer,
): StreamJudge | undefined {
  const settings = enforcedLists(request.settings);
  const { registryAccess, imageAccess } = settings;
  if (request.route.name === 'container.archive-put') return copiedArchiveJudgeFor(request.settings, begin);
  if (request.route.name === 'image.load') return loadedImageJudgeFor(request.settings);
  if (request.route.name !== 'image.build' || !(registryAccess.value || imageAccess.value)) return undefined;
  try {
    return classicBuildJudge({
      settings,
      dockerfile: query(request, 'dockerfile'),
      buildArguments: buildArguments(query(request, 'buildargs')),
      pull: isSet(request, 'pull'),
      platform: query(request, 'platform'),
      localImage: (reference) => localImage(engine, reference),
    });
  } catch (error) {
    if (!(error instanceof DockerfileUnsure)) throw error;
    const refusal = unsureRefusal(error.message);
    return { chunk: async () => refusal, end: async () => refusal, close: () => {} };
  }
}
