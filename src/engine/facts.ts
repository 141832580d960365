/**
 * Looks up the facts that rules ask for: containers, images, volumes, networks and execs from the engine, paths and
 * routes from the host, ownership and isolation from the ledger. Side by side, each once a request.
 * It must never serve a fact that may be out of date to a decision. What it remembers is forgotten by the engine's
 * events, and, because those come a moment late, by every request of ours that could change it, from before that
 * request is sent until it has ended. Names of containers are never remembered: renaming them is too easy. Whether a
 * container is isolated, and whose it is, comes from the ledger each time.
 */
import { posix } from 'node:path';
import type { EngineClient } from './client.js';
import type {
  ContainerInspect,
  EngineEvent,
  ImageInspect,
  NetworkInspect,
  ServiceInspect,
  VolumeInspect,
} from './client-answers.js';
import { FactMemory } from './fact-memory.js';
import type {
  ContainerFacts,
  ContainerOwner,
  EngineFacts,
  Facts,
  ImageFacts,
  Need,
  NetworkFacts,
  PathFacts,
  ServiceFacts,
  SocketImageFacts,
  VolumeFacts,
} from './fact-types.js';
import { readHostRoutes } from './host-routes.js';

/** What the ledger knows of a container. */
export interface LedgerFacts {
  readonly caller?: ContainerOwner | undefined;
  readonly socketGrant: boolean;
  /** What was approved for it; `ownSocket` marks the granted Docker socket. */
  readonly mounts?: readonly { readonly destination: string; readonly ownSocket?: boolean | undefined }[];
}

export interface FactSourceOptions<Request extends object> {
  readonly client: EngineClient;
  /** The ledger's record of a container; throws when it can't be believed. */
  readonly ledgerRead: (containerId: string) => LedgerFacts | undefined;
  /** Names under which the isolating runtime is registered with the engine. */
  readonly isolatingRuntimes: ReadonlySet<string>;
  /** Resolves a host path with the eyes of the request's caller. */
  readonly resolvePath: (path: string, request: Request) => PathFacts;
  /** Judges an image by the list of those that may mount the socket; absent where no socket is granted. */
  readonly socketImage?: (image: ImageFacts, request: Request) => Promise<SocketImageFacts>;
}

/** Which requests change which objects, so that what is known of them doesn't hold. */
const changes: Readonly<Record<string, readonly ('image' | 'volume' | 'network')[]>> = {
  'image.pull': ['image'],
  'image.load': ['image'],
  'image.tag': ['image'],
  'image.delete': ['image'],
  'image.prune': ['image'],
  'image.commit': ['image'],
  'image.build': ['image'],
  'build.grpc': ['image'],
  'build.session': ['image'],
  'container.create': ['volume'],
  'container.delete': ['volume'],
  'container.prune': ['volume'],
  'volume.create': ['volume'],
  'volume.update': ['volume'],
  'volume.delete': ['volume'],
  'volume.prune': ['volume'],
  'network.create': ['network'],
  'network.delete': ['network'],
  'network.prune': ['network'],
  'service.create': ['image', 'volume', 'network'],
  'service.update': ['image', 'volume', 'network'],
  'plugin.disable': ['volume', 'network'],
  'plugin.delete': ['volume', 'network'],
};

const nothingChanges = (): void => undefined;

export class FactSource<Request extends object> {
  readonly #options: FactSourceOptions<Request>;
  readonly #memories = {
    container: new FactMemory<ContainerInspect>(),
    image: new FactMemory<ImageFacts>(),
    volume: new FactMemory<VolumeFacts>(),
    network: new FactMemory<NetworkFacts>(),
    exec: new FactMemory<{ readonly containerId: string }>(),
  };
  /** What a request was told once it is told again, however many rounds its rules need. */
  readonly #told = new WeakMap<Request, ToldFacts>();
  #engine: EngineFacts | undefined;
  #engineAsked: Promise<EngineFacts> | undefined;
  #watching = false;

  constructor(options: FactSourceOptions<Request>) {
    this.#options = options;
  }

  /**
   * What the engine can do; known without waiting while it is the same engine.
   * @throws EngineError (rejects) when the engine is away
   */
  engine(): EngineFacts | Promise<EngineFacts> {
    if (this.#engine !== undefined) return this.#engine;
    if (this.#engineAsked === undefined) {
      const asked = this.#askEngine().finally(() => {
        if (this.#engineAsked === asked) this.#engineAsked = undefined;
      });
      this.#engineAsked = asked;
    }
    return this.#engineAsked;
  }

  async #askEngine(): Promise<EngineFacts> {
    const { client } = this.#options;
    const [version, info] = await Promise.all([client.version(), client.info()]);
    const facts: EngineFacts = {
      version: version.Version,
      apiVersion: version.ApiVersion,
      ...(version.MinAPIVersion === '' ? {} : { minimumApiVersion: version.MinAPIVersion }),
      cgroupVersion: info.CgroupVersion ?? '1',
      dataRoot: info.DockerRootDir,
    };
    if (this.#watching) this.#engine = facts;
    return facts;
  }

  /** The engine's events are being watched: what is learnt from now on may be remembered. */
  noteWatching(): void {
    this.#watch(true);
  }

  /** Events may have been missed: nothing that was learnt holds. */
  noteGap(): void {
    this.#watch(false);
  }

  #watch(watching: boolean): void {
    this.#watching = watching;
    this.#engine = undefined;
    this.#engineAsked = undefined;
    for (const memory of Object.values(this.#memories)) memory.watch(watching);
  }

  /** Something happened at the engine. */
  noteEvent(event: EngineEvent): void {
    if (event.Type === 'container') this.#memories.container.forget(event.Actor.ID);
    else if (event.Type === 'image') this.#memories.image.forget();
    else if (event.Type === 'volume') this.#memories.volume.forget();
    else if (event.Type === 'network') this.#memories.network.forget();
    else if (event.Type === 'daemon') this.#engine = undefined;
  }

  /** The engine told us of an exec that it made: it belongs to this container for as long as there is one. */
  noteExec(execId: string, containerId: string): void {
    this.#memories.exec.learn(execId, { containerId });
  }

  /**
   * A request is about to be sent that may change objects.
   * @returns to be called when the request, or the connection that it became, has ended
   */
  changing(routeName: string): () => void {
    const kinds = changes[routeName];
    if (kinds === undefined) return nothingChanges;
    for (const kind of kinds) this.#memories[kind].changeBegins();
    let ended = false;
    return () => {
      if (ended) return;
      ended = true;
      for (const kind of kinds) this.#memories[kind].changeEnds();
    };
  }

  /**
   * The facts that a request's rules need, looked up side by side.
   * @throws EngineError when the engine is away or answers with an error; whatever the ledger or the host throw
   */
  async resolve(needs: readonly Need[], request: Request): Promise<Facts> {
    let told = this.#told.get(request);
    if (told === undefined) {
      told = new ToldFacts();
      this.#told.set(request, told);
    }
    const facts = told;
    await Promise.all(needs.map((need) => this.#tell(facts, need, request)));
    return facts;
  }

  #tell(facts: ToldFacts, need: Need, request: Request): Promise<void> {
    const { client, resolvePath } = this.#options;
    const memories = this.#memories;
    switch (need.kind) {
      case 'container':
        return facts.containers.once(need.ref, () => this.#container(need.ref));
      case 'image':
        return facts.images.once(
          need.ref,
          () => this.#image(need.ref),
          ({ id }) => id,
        );
      case 'volume':
        return facts.volumes.once(need.name, () =>
          memories.volume.find(need.name, async () => volumeFacts(await client.inspectVolume(need.name))),
        );
      case 'network':
        return facts.networks.once(need.ref, () =>
          memories.network.find(need.ref, async () => networkFacts(await client.inspectNetwork(need.ref))),
        );
      case 'exec':
        return facts.execs.once(need.id, () =>
          memories.exec.find(need.id, async () => {
            const exec = await client.execInspect(need.id);
            return exec && { containerId: exec.ContainerID };
          }),
        );
      case 'service':
        return facts.services.once(need.ref, async () => serviceFacts(await client.inspectService(need.ref)));
      case 'path':
        return facts.paths.once(need.path, async () => resolvePath(need.path, request));
      case 'socket-image':
        return facts.socketImages.once(
          need.ref,
          () => this.#socketImage(need.ref, request),
          ({ imageId }) => imageId,
        );
      case 'stopped-containers':
        return client.listContainers().then((list) => {
          const live = ['running', 'paused', 'restarting'];
          facts.stoppedContainers = list.filter(({ State }) => !live.includes(State)).map(({ Id }) => Id);
        });
      case 'host-routes':
        facts.hostRoutes = readHostRoutes();
        return Promise.resolve();
      case 'swarm':
        return client.info().then(({ Swarm }) => {
          facts.inSwarm = !['', 'inactive'].includes(Swarm?.LocalNodeState ?? '');
        });
    }
  }

  #image(reference: string): Promise<ImageFacts | undefined> {
    const { client } = this.#options;
    return this.#memories.image.find(reference, async () => imageFacts(await client.inspectImage(reference)));
  }

  async #socketImage(reference: string, request: Request): Promise<SocketImageFacts | undefined> {
    const image = await this.#image(reference);
    return image && this.#options.socketImage?.(image, request);
  }

  async #container(reference: string): Promise<ContainerFacts | undefined> {
    const { client, ledgerRead, isolatingRuntimes } = this.#options;
    const inspect = () => client.inspectContainer(reference);
    const found = fullId.test(reference)
      ? await this.#memories.container.find(reference, inspect)
      : await inspect();
    if (found === undefined) return undefined;
    const record = ledgerRead(found.Id);
    const sockets = record?.mounts?.filter(({ ownSocket }) => ownSocket === true) ?? [];
    const isSocket = (path: string) => sockets.some(({ destination }) => posix.resolve(destination) === path);
    return {
      id: found.Id,
      name: found.Name.replace(/^\//, ''),
      image: found.Image,
      runtime: found.HostConfig.Runtime,
      running: found.State.Running,
      isolated: record !== undefined && isolatingRuntimes.has(found.HostConfig.Runtime),
      ...(record?.caller === undefined ? {} : { owner: record.caller }),
      socketGranted: record?.socketGrant ?? false,
      networkMode: found.HostConfig.NetworkMode,
      pidMode: found.HostConfig.PidMode,
      ipcMode: found.HostConfig.IpcMode,
      utsMode: found.HostConfig.UTSMode,
      mounts: found.Mounts.map((mount) => ({
        type: mount.Type,
        source: mount.Source,
        destination: mount.Destination,
        ...(mount.Name === '' ? {} : { name: mount.Name }),
        ...(mount.Driver === '' ? {} : { driver: mount.Driver }),
        writable: mount.RW,
        ...(isSocket(mount.Destination) ? { ownSocket: true } : {}),
      })),
    };
  }
}

/** An id is looked for before any name, so that it always means the same container. */
const fullId = /^[0-9a-f]{64}$/;

/** The answers of one kind that one request got. */
class Answers<Value> {
  readonly #asked = new Map<string, Promise<void>>();
  readonly #found = new Map<string, Value>();

  /** @param idOf its full id: a request that was changed to name the object by it finds it under that, too */
  once(key: string, find: () => Promise<Value | undefined>, idOf?: (value: Value) => string): Promise<void> {
    const earlier = this.#asked.get(key);
    if (earlier !== undefined) return earlier;
    const asked = find().then((value) => {
      if (value === undefined) return;
      this.#found.set(key, value);
      if (idOf !== undefined) this.#found.set(idOf(value), value);
    });
    this.#asked.set(key, asked);
    return asked;
  }

  get(key: string): Value | undefined {
    return this.#found.get(key);
  }
}

class ToldFacts implements Facts {
  readonly containers = new Answers<ContainerFacts>();
  readonly images = new Answers<ImageFacts>();
  readonly volumes = new Answers<VolumeFacts>();
  readonly networks = new Answers<NetworkFacts>();
  readonly execs = new Answers<{ readonly containerId: string }>();
  readonly services = new Answers<ServiceFacts>();
  readonly paths = new Answers<PathFacts>();
  readonly socketImages = new Answers<SocketImageFacts>();
  hostRoutes: readonly string[] = [];
  stoppedContainers?: readonly string[];
  inSwarm?: boolean;

  container(ref: string): ContainerFacts | undefined {
    return this.containers.get(ref);
  }

  image(ref: string): ImageFacts | undefined {
    return this.images.get(ref);
  }

  volume(name: string): VolumeFacts | undefined {
    return this.volumes.get(name);
  }

  network(ref: string): NetworkFacts | undefined {
    return this.networks.get(ref);
  }

  exec(id: string): { readonly containerId: string } | undefined {
    return this.execs.get(id);
  }

  service(ref: string): ServiceFacts | undefined {
    return this.services.get(ref);
  }

  path(path: string): PathFacts | undefined {
    return this.paths.get(path);
  }

  socketImage(ref: string): SocketImageFacts | undefined {
    return this.socketImages.get(ref);
  }
}

function imageFacts(found: ImageInspect | undefined): ImageFacts | undefined {
  return (
    found && {
      id: found.Id,
      repoTags: found.RepoTags,
      repoDigests: found.RepoDigests,
      layers: found.RootFS?.Layers ?? [],
      env: found.Config?.Env ?? [],
      volumes: found.Config?.Volumes ?? [],
      user: found.Config?.User ?? '',
      workingDirectory: found.Config?.WorkingDir ?? '',
    }
  );
}

function volumeFacts(found: VolumeInspect | undefined): VolumeFacts | undefined {
  return (
    found && {
      name: found.Name,
      driver: found.Driver,
      mountpoint: found.Mountpoint,
      options: found.Options,
    }
  );
}

function networkFacts(found: NetworkInspect | undefined): NetworkFacts | undefined {
  return found && { id: found.Id, name: found.Name, driver: found.Driver, options: found.Options };
}

function serviceFacts(found: ServiceInspect | undefined): ServiceFacts | undefined {
  if (found === undefined) return undefined;
  const { ID: id, Version, PreviousSpec: previous } = found;
  return { id, version: Version.Index, ...(previous ? { previous } : {}) };
}
