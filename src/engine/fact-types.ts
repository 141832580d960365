/**
 * What rules can ask about the engine, its objects and the host, and the form of the answers. No policy, no look-ups.
 */
import type { JsonObject } from './json.js';

/** Who had a container made: the peer credentials that the ledger noted. */
export interface ContainerOwner {
  readonly uid: number;
  readonly gid: number;
  readonly pid: number;
  readonly groups: readonly number[];
  /** Full id of the container whose granted socket the request came through. */
  readonly container?: string | undefined;
}

/** What the engine in front of which the request stands can do. */
export interface EngineFacts {
  /** `Version` of GET /version, e.g. `28.5.2`. */
  readonly version: string;
  /** Newest API version that the engine offers, e.g. `1.51`. */
  readonly apiVersion: string;
  /** Oldest API version that the engine offers. */
  readonly minimumApiVersion?: string;
  readonly cgroupVersion: '1' | '2';
  readonly dataRoot: string;
  /** What the engine would isolate; absent when nobody could tell, which counts as nothing. */
  readonly preparation?: EnginePreparation;
}

/** Whether what the engine starts is isolated. */
export interface EnginePreparation {
  /** The isolating runtime is registered, and is ours. */
  readonly runtime: boolean;
  /** The engine's default runtime is ours: classic builds and services use it. */
  readonly defaultRuntime: boolean;
  /** BuildKit's RUN steps run on our runtime. */
  readonly builds: boolean;
}

/** A fact that a rule needs before it can judge. Several rules asking for the same one cost one look-up. */
export type Need =
  | { readonly kind: 'container'; readonly ref: string }
  | { readonly kind: 'image'; readonly ref: string }
  | { readonly kind: 'volume'; readonly name: string }
  | { readonly kind: 'network'; readonly ref: string }
  | { readonly kind: 'exec'; readonly id: string }
  | { readonly kind: 'service'; readonly ref: string }
  | { readonly kind: 'path'; readonly path: string }
  /** Whether containers of an image may mount the Docker socket. */
  | { readonly kind: 'socket-image'; readonly ref: string }
  /** Which containers a prune would remove. */
  | { readonly kind: 'stopped-containers' }
  | { readonly kind: 'host-routes' }
  /** Whether the engine is a swarm's node, which makes containers that no request here asks for. */
  | { readonly kind: 'swarm' };

export interface MountFacts {
  readonly type: string;
  readonly source: string;
  readonly destination: string;
  readonly name?: string;
  readonly driver?: string;
  readonly writable: boolean;
  /** Present for the granted Docker socket: a file of cofferdam's, and none of the host's that a caller has a right to. */
  readonly ownSocket?: true;
}

export interface ContainerFacts {
  readonly id: string;
  readonly name: string;
  readonly image: string;
  readonly runtime: string;
  readonly running: boolean;
  /** True when the ledger has a range for it and its runtime is ours. */
  readonly isolated: boolean;
  readonly owner?: ContainerOwner;
  /** True when it holds a granted Docker socket. */
  readonly socketGranted: boolean;
  readonly networkMode: string;
  readonly pidMode: string;
  readonly ipcMode: string;
  readonly utsMode: string;
  readonly mounts: readonly MountFacts[];
}

export interface ImageFacts {
  readonly id: string;
  readonly repoTags: readonly string[];
  readonly repoDigests: readonly string[];
  /** `RootFS.Layers`, lowest first. */
  readonly layers: readonly string[];
  /** `Config.Env`, `NAME=value`. */
  readonly env: readonly string[];
  readonly volumes: readonly string[];
  readonly user: string;
  /** `Config.WorkingDir`; empty for `/`. */
  readonly workingDirectory: string;
}

export interface VolumeFacts {
  readonly name: string;
  readonly driver: string;
  readonly mountpoint: string;
  readonly options: Readonly<Record<string, string>>;
}

export interface NetworkFacts {
  readonly id: string;
  readonly name: string;
  readonly driver: string;
  readonly options: Readonly<Record<string, string>>;
}

/** A swarm service as far as going back to its earlier specification is concerned. */
export interface ServiceFacts {
  readonly id: string;
  /** Grows with every change: an update that names another one is refused by the engine. */
  readonly version: bigint;
  /** The specification that a rollback brings back, with the engine's own spelling of its fields. */
  readonly previous?: JsonObject;
}

/** What a host path really is, as resolved with the caller's eyes. */
export interface PathFacts {
  /** The path with every symbolic link resolved; absent when it doesn't exist. */
  readonly real?: string;
  readonly device?: bigint;
  readonly inode?: bigint;
  readonly type?: 'file' | 'directory' | 'socket' | 'block' | 'character' | 'fifo';
  readonly ownerUid?: number;
  readonly ownerGid?: number;
  /** Groups on disk that the settings let this caller use as its own. */
  readonly sharedGids?: readonly number[];
  /** The first folder on the way that the caller can't search, or the last error's name. */
  readonly refusedAt?: string;
  /** A mount below it that a copy without the mounts below it would leave out, and one that any copy leaves out. */
  readonly covered?: { readonly byMount?: string; readonly byUnbindable?: string };
  /** True when the path is, contains or lies in a place that no container may reach. */
  readonly restricted?: string;
  /** True when it lies outside of the folders that may be mounted at all. */
  readonly unshared?: true;
}

/** Whether an image is on the list of those that may mount the Docker socket, by its content. */
export interface SocketImageFacts {
  readonly imageId: string;
  /** Its digests by repository, as the engine's store knows them. */
  readonly digests?: readonly string[];
  readonly allowed: boolean;
  /** The list's entry that allows it. */
  readonly entry?: string;
  /** The entry of `perImage` whose command list holds for it; absent where it is the general one. */
  readonly commandEntry?: string;
  /** Where it is allowed because it was built on a listed image: that one's name. */
  readonly derivedFrom?: string;
  /** What the administrator should know: a registry that can't be reached. */
  readonly warning?: string;
  /** The socket that such containers get in place of the engine's. */
  readonly socket: { readonly path: string; readonly device: string; readonly inode: string };
}

/** Looked-up facts; `undefined` in a map means that the engine or host has no such object. */
export interface Facts {
  container(ref: string): ContainerFacts | undefined;
  image(ref: string): ImageFacts | undefined;
  volume(name: string): VolumeFacts | undefined;
  network(ref: string): NetworkFacts | undefined;
  exec(id: string): { readonly containerId: string } | undefined;
  path(path: string): PathFacts | undefined;
  socketImage?(ref: string): SocketImageFacts | undefined;
  service?(ref: string): ServiceFacts | undefined;
  /** Destinations of the host's own routes in CIDR notation, addresses of its interfaces included. */
  readonly hostRoutes: readonly string[];
  /** Full ids of the containers that don't run; absent when nobody asked. */
  readonly stoppedContainers?: readonly string[];
  /** Whether the engine is, or may be, a swarm's node; absent when nobody asked. */
  readonly inSwarm?: boolean;
}
