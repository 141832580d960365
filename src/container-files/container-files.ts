/**
 * The files of running isolated containers, for the requests that the engine can't serve rightly by itself: it works on
 * its own mount of a container's file system, and the container on another one over the same layers.
 */
import type { Readable } from 'node:stream';
import { z } from 'zod';
import type { EngineClient } from '../engine/client.js';
import type { ApprovedMount, ContainerRecord, Range } from '../uid-allocator/record.js';
import { containerUser } from './container-user.js';
import { refreshEngineView } from './engine-view.js';
import { type ReachedFile, reachFile } from './reach.js';
import { UnpackProblem, unpack } from './unpack.js';

const inspectSchema = z.object({
  State: z.object({ Running: z.boolean(), Pid: z.number() }),
  Config: z.object({ User: z.string().optional().default('') }),
  HostConfig: z.object({ Runtime: z.string() }),
  GraphDriver: z.object({ Data: z.object({ MergedDir: z.string().optional() }).nullish() }).nullish(),
});

/** A container that runs in a range of its own. */
export interface RunningContainer {
  readonly id: string;
  readonly pid: number;
  readonly range: Range;
  readonly mounts: readonly ApprovedMount[];
  readonly user: string;
  readonly mergedFolder: string | undefined;
}

export interface ArchiveOptions {
  readonly path: string;
  readonly noOverwriteDirNonDir: boolean;
  /** Give everything to the container's user. */
  readonly copyUidGid: boolean;
}

export class ContainerFiles {
  readonly #client: EngineClient;
  readonly #ledgerRead: (id: string) => ContainerRecord | undefined;

  constructor(client: EngineClient, ledgerRead: (id: string) => ContainerRecord | undefined) {
    this.#client = client;
    this.#ledgerRead = ledgerRead;
  }

  /**
   * @param id full id
   * @returns undefined for a container that isn't running or isn't isolated: the engine serves it alone
   * @throws EngineError, AllocatorError
   */
  async running(id: string): Promise<RunningContainer | undefined> {
    const record = this.#ledgerRead(id);
    if (record === undefined) return undefined;
    const { State, Config, GraphDriver } = await this.#client.get(`/containers/${id}/json`, inspectSchema);
    if (!State.Running || State.Pid === 0) return undefined;
    return {
      id,
      pid: State.Pid,
      range: record.range,
      mounts: record.mounts,
      user: Config.User,
      mergedFolder: GraphDriver?.Data?.MergedDir,
    };
  }

  /** Makes the engine see what the container did to its files. @throws SystemCallError */
  refresh(container: RunningContainer, dataRoot: string): void {
    refreshEngineView(dataRoot, container.id, container.mergedFolder);
  }

  /** What stands under a path; the caller closes its folder. @throws NotReached */
  reach(container: RunningContainer, path: string): ReachedFile {
    return reachFile(container.pid, container.range, path);
  }

  /**
   * Unpacks an archive in the container's own view.
   * @throws UnpackProblem with a text for the client
   */
  async unpack(container: RunningContainer, options: ArchiveOptions, stream: Readable): Promise<void> {
    const { pid, range, mounts } = container;
    const user = container.user === '' ? undefined : containerUser(pid, container.user);
    const owner = options.copyUidGid ? user : undefined;
    if (options.copyUidGid && container.user !== '' && owner === undefined) {
      throw new UnpackProblem(`the container has no user ${container.user}`);
    }
    await unpack(stream, {
      pid,
      range,
      path: options.path,
      noOverwriteDirNonDir: options.noOverwriteDirNonDir,
      mounts: mounts.map((mount) => standingFor(mount, user)),
      ...(owner === undefined ? {} : { owner }),
    });
  }
}

/** The user that a mount's owner stands for, where only the image's files say its number (see bind-approval.ts). */
function standingFor(mount: ApprovedMount, user: { uid: number; gid: number } | undefined): ApprovedMount {
  if (user === undefined || mount.containerUid !== undefined || user.uid !== mount.ownerUid) return mount;
  return {
    ...mount,
    containerUid: user.uid,
    ...(mount.containerGid === undefined && user.gid === mount.ownerGid && { containerGid: user.gid }),
  };
}
