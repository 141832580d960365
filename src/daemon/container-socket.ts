/**
 * The Docker socket that containers of allowed images get: where it is, and which images they are. It is one socket
 * for all of them: who speaks is told by the kernel, each container having ids of its own.
 */
import { chmodSync, mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { EngineClient } from '../engine/client.js';
import type { ImageInspect } from '../engine/client-answers.js';
import type { SocketImageFacts } from '../engine/fact-types.js';
import { Digests } from '../registry/digests.js';
import { RegistryClient } from '../registry/registry-client.js';
import { type ListedImage, SocketImages, type StoredImage } from '../registry/socket-images.js';
import type { Settings } from '../settings/schema.js';

interface TimedVerdict {
  readonly facts: SocketImageFacts;
  /** In milliseconds since the epoch. */
  readonly until: number;
}

const verdictMilliseconds = 2000;
/** Images whose layers are remembered. */
const layersMax = 4096;

export class ContainerSocket {
  /** Path of the socket on the host. */
  readonly path: string;
  readonly #client: EngineClient;
  readonly #registries = new RegistryClient();
  readonly #images: SocketImages;
  readonly #layers = new Map<string, readonly string[]>();
  readonly #verdicts = new WeakMap<Settings, WeakMap<StoredImage, TimedVerdict>>();
  #socket: SocketImageFacts['socket'] | undefined;

  /**
   * Makes the socket's folder, which nobody but root can enter.
   * @param onAsked told each time that a registry was asked about an image
   */
  constructor(stateDir: string, client: EngineClient, onAsked?: (outcome: 'answered' | 'failed') => void) {
    const folder = join(stateDir, 'sockets');
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    chmodSync(folder, 0o700);
    this.path = join(folder, 'docker.sock');
    this.#client = client;
    const digests = new Digests(this.#registries, join(stateDir, 'digests.json'), Date.now, onAsked);
    this.#images = new SocketImages({
      lookUp: (reference) => digests.lookUp(reference),
      images: () => this.#listed(),
      layers: (id) => this.#layersOf(id),
    });
  }

  /**
   * Whether containers of an image in the engine's store may mount the socket; at once while an earlier verdict holds.
   * @throws EngineError (rejects) when the engine is away
   */
  judge(image: StoredImage, settings: Settings): SocketImageFacts | Promise<SocketImageFacts> {
    return this.judged(image, settings) ?? this.#judgeAnew(image, settings);
  }

  /** An earlier verdict while it holds: each request over the socket asks for the same image. */
  judged(image: StoredImage, settings: Settings): SocketImageFacts | undefined {
    const known = this.#verdicts.get(settings)?.get(image);
    return known !== undefined && Date.now() < known.until ? known.facts : undefined;
  }

  /** The same for the image of a container; undefined when there is none of the two. @throws EngineError as `judge` */
  async judgeContainer(containerId: string, settings: Settings): Promise<SocketImageFacts | undefined> {
    const container = await this.#client.inspectContainer(containerId);
    const image = container && stored(await this.#client.inspectImage(container.Image));
    return image && this.judge(image, settings);
  }

  async #judgeAnew(image: StoredImage, settings: Settings): Promise<SocketImageFacts> {
    const verdict = await this.#images.judge(image, settings);
    this.#socket ??= this.#ownSocket();
    const facts = { imageId: image.id, digests: image.repoDigests, ...verdict, socket: this.#socket };
    // A refusal is looked at anew each time: the next pull may be what was missing.
    if (!verdict.allowed) return facts;
    const verdicts = this.#verdicts.get(settings) ?? new WeakMap<StoredImage, TimedVerdict>();
    verdicts.set(image, { facts, until: Date.now() + verdictMilliseconds });
    this.#verdicts.set(settings, verdicts);
    return facts;
  }

  /** It listens before anybody can ask for it, and nobody but this daemon can exchange it while it runs. */
  #ownSocket(): SocketImageFacts['socket'] {
    const { dev, ino } = statSync(this.path, { bigint: true });
    return { path: this.path, device: dev.toString(), inode: ino.toString() };
  }

  async #listed(): Promise<readonly ListedImage[]> {
    const found = await this.#client.listImages();
    return found.map(({ Id, RepoTags, RepoDigests }) => ({
      id: Id,
      repoTags: RepoTags,
      repoDigests: RepoDigests,
    }));
  }

  /** What an id stands for never changes. */
  async #layersOf(id: string): Promise<readonly string[] | undefined> {
    const known = this.#layers.get(id);
    if (known !== undefined) return known;
    const layers = stored(await this.#client.inspectImage(id))?.layers;
    if (this.#layers.size >= layersMax) this.#layers.clear();
    if (layers !== undefined) this.#layers.set(id, layers);
    return layers;
  }

  close(): Promise<void> {
    return this.#registries.close();
  }
}

function stored(found: ImageInspect | undefined): StoredImage | undefined {
  return found && { id: found.Id, repoDigests: found.RepoDigests, layers: found.RootFS?.Layers ?? [] };
}
