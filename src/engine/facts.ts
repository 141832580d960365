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
import { FactMemory, type Found } from './fact-memory.js';
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
import { ToldFacts } from './told-facts.js';

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
  readonly socketImage?: (
    image: ImageFacts,
    request: Request,
  ) => SocketImageFacts | Promise<SocketImageFacts>;
  /** What `socketImage` said last, while that holds; it must not look anything up. */
  readonly judgedSocketImage?: (image: ImageFacts, request: Request) => SocketImageFacts | undefined;
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
  /** Containers as they were described last, for as long as the engine and the ledger say the same. */
  readonly #described = new WeakMap<
    ContainerInspect,
    { record: LedgerFacts | undefined; facts: ContainerFacts }
  >();
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
   * The facts that a request's rules need, looked up side by side; at once when all of them are known.
   * @throws EngineError (or rejects) when the engine is away or answers with an error; whatever the ledger or the host
   *   throw
   */
  resolve(needs: readonly Need[], request: Request): Facts | Promise<Facts> {
    let told = this.#told.get(request);
    if (told === undefined) {
      told = new ToldFacts();
      this.#told.set(request, told);
    }
    const facts = told;
    // What fails at once waits for the others, as what fails later does: none of them may fail unheard.
    const tell = (need: Need): Promise<void> | undefined => {
      try {
        return this.#tell(facts, need, request);
      } catch (error) {
        return Promise.reject(error);
      }
    };
    const awaited = needs.map(tell).filter((one) => one !== undefined);
    return awaited.length === 0 ? facts : Promise.all(awaited).then(() => facts);
  }

  /**
   * True when the facts of an earlier request would be told again as they were, without asking the engine. Where that
   * can't be said, it is false.
   */
  stillHold(facts: Facts): boolean {
    return facts instanceof ToldFacts && facts.stillHold;
  }

  #tell(facts: ToldFacts, need: Need, request: Request): Promise<void> | undefined {
    const { client, resolvePath } = this.#options;
    const memories = this.#memories;
    if (need.kind === 'container') {
      return facts.containers.once(need.ref, () => this.#container(need.ref, facts));
    }
    if (need.kind === 'socket-image') {
      const find = () => this.#socketImage(need.ref, request, facts);
      return facts.socketImages.once(need.ref, find, ({ imageId }) => imageId);
    }
    facts.restsOn();
    switch (need.kind) {
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
        return facts.paths.once(need.path, () => resolvePath(need.path, request));
      case 'stopped-containers':
        return client.listContainers().then((list) => {
          const live = ['running', 'paused', 'restarting'];
          facts.stoppedContainers = list.filter(({ State }) => !live.includes(State)).map(({ Id }) => Id);
        });
      case 'host-routes':
        facts.hostRoutes = readHostRoutes();
        return undefined;
      case 'swarm':
        return client.info().then(({ Swarm }) => {
          facts.inSwarm = !['', 'inactive'].includes(Swarm?.LocalNodeState ?? '');
        });
    }
  }

  #image(reference: string): Found<ImageFacts> {
    const { client } = this.#options;
    return this.#memories.image.find(reference, async () => imageFacts(await client.inspectImage(reference)));
  }

  #socketImage(reference: string, request: Request, told: ToldFacts): Found<SocketImageFacts> {
    const judge = (image: ImageFacts | undefined) => image && this.#options.socketImage?.(image, request);
    const image = this.#image(reference);
    if (image instanceof Promise) {
      told.restsOn();
      return image.then(judge);
    }
    const verdict = judge(image);
    const { judgedSocketImage } = this.#options;
    told.restsOn(
      () =>
        image !== undefined &&
        this.#memories.image.holds(reference, image) &&
        judgedSocketImage?.(image, request) === verdict,
    );
    return verdict;
  }

  #container(reference: string, told: ToldFacts): Found<ContainerFacts> {
    const inspect = () => this.#options.client.inspectContainer(reference);
    const { container: memory } = this.#memories;
    const found = fullId.test(reference) ? memory.find(reference, inspect) : inspect();
    if (found instanceof Promise) {
      told.restsOn();
      return found.then((answer) => this.#containerFacts(answer));
    }
    const facts = this.#containerFacts(found);
    told.restsOn(
      () => found !== undefined && memory.holds(reference, found) && this.#containerFacts(found) === facts,
    );
    return facts;
  }

  #containerFacts(found: ContainerInspect | undefined): ContainerFacts | undefined {
    if (found === undefined) return undefined;
    const { ledgerRead, isolatingRuntimes } = this.#options;
    const record = ledgerRead(found.Id);
    const known = this.#described.get(found);
    if (known !== undefined && known.record === record) return known.facts;
    const facts = describe(found, record, isolatingRuntimes);
    this.#described.set(found, { record, facts });
    return facts;
  }
}

function describe(
  found: ContainerInspect,
  record: LedgerFacts | undefined,
  isolatingRuntimes: ReadonlySet<string>,
): ContainerFacts {
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

/** An id is looked for before any name, so that it always means the same container. */
const fullId = /^[0-9a-f]{64}$/;

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
