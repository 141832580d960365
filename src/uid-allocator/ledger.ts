/**
 * The ledger: which container has which range of ids, who made it, and which host paths were approved for it. A
 * folder that the proxy and the runtime's one-shot processes share without a server between them:
 *
 *     <state>/ledger/ranges/BASE       one file per block in use; making it is owning the block
 *     <state>/ledger/containers/ID     one record per container, until the engine destroys it
 *     <state>/ledger/intents/TOKEN     a create request that may be on its way through the engine
 *     <state>/ledger/callers/UID       the range for a caller's files on disk, kept for good
 *
 * Everything here is synchronous and takes well under a millisecond; only bringing it to the disk itself is left to
 * promises. It must never hand out a block that anybody else has, whatever crashed before (see procedures.ts).
 */
import { join } from 'node:path';
import { FileSystemDisk } from './disk.js';
import { AllocatorError } from './errors.js';
import {
  agreeOnBounds,
  containerFile,
  intentFile,
  listRanges,
  rangeFile,
  readCaller,
  readRange,
} from './files.js';
import { HostIds } from './host-ids.js';
import { BlockSet, Pool, type PoolBounds } from './pool.js';
import {
  abandon,
  callerRecordFor,
  readValid,
  recordFor,
  release,
  reserve,
  settle,
  type Workplace,
} from './procedures.js';
import { bootTime, identifyProcess, isAlive } from './process-identity.js';
import { blockHolding } from './range.js';
import { type EngineContainer, type Reclaimed, reclaim } from './reclaim.js';
import type {
  ApprovedMount,
  ContainerRecord,
  IntentRequest,
  ProcessIdentity,
  Range,
  Reservation,
  Subordinate,
} from './record.js';
import { RememberedRecords } from './remembered-records.js';
import { type Procedure, perform } from './steps.js';
import { delegatedSubordinate, isDelegated } from './subordinate.js';
import { type Survey, survey } from './survey.js';

/** A create request's range, noted before the request is forwarded. */
export interface Intent {
  readonly reservation: Reservation;
  readonly range: Range;
  /** Settled when the note would outlive a power cut: await it beside the engine's own work. */
  readonly durable: Promise<void>;
}

export interface LedgerOptions {
  /**
   * The ids that may be handed out from now on, by every process that opens this ledger without saying. Absent: what
   * was said last, else the whole grid from 100000 on.
   */
  readonly pool?: PoolBounds;
  /** Where the host's own ids are read: `/etc`. */
  readonly hostIds?: HostIds;
}

export class Ledger {
  readonly #disk: FileSystemDisk;
  readonly #hostIds: HostIds;
  readonly #bounds: PoolBounds;
  readonly #seen = new BlockSet();
  readonly #remembered: RememberedRecords;
  readonly #self: ProcessIdentity;
  #pool: { readonly reserved: unknown; readonly pool: Pool } | undefined;

  constructor(folder: string, options: LedgerOptions = {}) {
    this.#disk = new FileSystemDisk(folder);
    this.#remembered = new RememberedRecords(this.#disk, (id) => perform(this.#disk, readValid(id)));
    this.#hostIds = options.hostIds ?? new HostIds();
    const self = identifyProcess(process.pid);
    if (!self)
      throw new AllocatorError('COFFERDAM_LEDGER_UNAVAILABLE', '/proc is not readable: is it mounted?');
    this.#self = self;
    this.#bounds = perform(this.#disk, agreeOnBounds(self, options.pool));
  }

  /**
   * Takes a range for a create request and notes what identifies the container that it will lead to. Approved mounts
   * that carry their owner's rights get the owner's subordinate range.
   * Every intent ends with `settle` or `abandon`; one whose process ended before is sorted out by `reclaim`.
   * @throws AllocatorError COFFERDAM_RANGES_EXHAUSTED, COFFERDAM_LEDGER_UNAVAILABLE, COFFERDAM_LEDGER_DAMAGED
   */
  intend(request: IntentRequest): Intent {
    const complete = { ...request, mounts: request.mounts.map((mount) => this.#withSubordinate(mount)) };
    const reservation = perform(this.#disk, reserve(this.#place(), { kind: 'create', request: complete }));
    const durable = this.#disk.sync([intentFile(reservation.token), rangeFile(reservation.range.base)]);
    // Whoever awaits it learns of a failure; one that nobody awaits mustn't end the process.
    durable.catch(() => undefined);
    return { reservation, range: reservation.range, durable };
  }

  /**
   * The engine made the container: its record, with the approvals of the intent.
   * @param containerId the full id of the engine's answer
   * @throws AllocatorError COFFERDAM_LEDGER_UNAVAILABLE, COFFERDAM_LEDGER_DAMAGED
   */
  settle(intent: Intent, containerId: string, imageId?: string): ContainerRecord {
    return this.#change(settle(this.#place(), intent.reservation, containerId, imageId));
  }

  /** Carries out what changes records, whatever becomes of it. */
  #change<Result>(steps: Procedure<Result>): Result {
    try {
      return perform(this.#disk, steps);
    } finally {
      this.#remembered.changed();
    }
  }

  /** The engine refused the create: the range is free again. */
  abandon(intent: Intent): void {
    perform(this.#disk, abandon(intent.reservation));
  }

  /**
   * The record of a container.
   * @returns undefined when the ledger doesn't know it
   * @throws AllocatorError COFFERDAM_LEDGER_DAMAGED when what is on disk can't be believed: it must not be started
   */
  read(containerId: string): ContainerRecord | undefined {
    return this.#remembered.get(containerId);
  }

  /** All containers. @throws AllocatorError COFFERDAM_LEDGER_DAMAGED at the first file that can't be believed */
  list(): ContainerRecord[] {
    const { containers, problems } = this.survey();
    if (problems[0]) throw problems[0];
    return containers;
  }

  /** Everything that is in the ledger, and every file that can't be believed. */
  survey(): Survey {
    return perform(this.#disk, survey(isAlive));
  }

  /** How many ranges are taken, callers' own included, and how many are left. */
  usage(): { readonly inUse: number; readonly free: number } {
    const inUse = perform(this.#disk, listRanges()).size;
    return { inUse, free: this.#place().pool.size - inUse };
  }

  /**
   * The engine destroyed the container: its range is free again.
   * @returns false when the ledger doesn't know it
   */
  release(containerId: string): boolean {
    return this.#change(release(containerId));
  }

  /**
   * The record of a container that no create request of ours led to: a build step, a service's task, one made past
   * the proxy. It gets a range and no approvals.
   * @param pid when given, the container lives only as long as that process, and its range with it
   * @throws AllocatorError as `intend`
   */
  allocateFor(containerId: string, pid?: number): ContainerRecord {
    const tiedTo = pid === undefined ? undefined : identifyProcess(pid);
    if (pid !== undefined && !tiedTo) {
      throw new AllocatorError(
        'COFFERDAM_LEDGER_UNAVAILABLE',
        `process ${pid} has ended before it got a range`,
      );
    }
    return this.#change(recordFor(this.#place(), containerId, tiedTo));
  }

  /**
   * Where the ids of a caller's containers land on disk, but for the caller's own: its entries of /etc/subuid and
   * /etc/subgid where it has such, else a block of the pool's upper end, which is then the caller's for good.
   * @throws AllocatorError as `intend`
   */
  subordinateOf(uid: number): Subordinate {
    const known = perform(this.#disk, readCaller(uid));
    const range = known?.range;
    if (!range) {
      const delegated = delegatedSubordinate(uid, this.#hostIds);
      if (delegated) return delegated;
    }
    const { base, size } = range ?? perform(this.#disk, callerRecordFor(this.#place(), uid)).range;
    return { uidBase: base, gidBase: base, size };
  }

  /**
   * True for a uid that is one of many which another user can be at will: by /etc/subuid, or by a setuid program that
   * was made in a container, on a folder of that user. It is no account, and gets no block of its own: there is only
   * one for tens of thousands of such ids.
   * @throws AllocatorError as `read`
   */
  isSubordinate(uid: number): boolean {
    const block = blockHolding(uid);
    const holder = block && perform(this.#disk, readRange(block.base));
    return holder?.purpose.kind === 'caller' || isDelegated(uid, this.#hostIds);
  }

  /** True when somebody has the block that begins at `base`. */
  isTaken(base: number): boolean {
    return this.#disk.exists(rangeFile(base));
  }

  /** Settled when the container's record would outlive a power cut. */
  durable(record: ContainerRecord): Promise<void> {
    return this.#disk.sync([containerFile(record.id), rangeFile(record.range.base)]);
  }

  /**
   * Makes the ledger agree with the engine's own list; see reclaim.ts.
   * @param containers the engine's complete list, stopped ones included
   * @param listedAt when asking for the list began, milliseconds since the epoch
   */
  reclaim(containers: readonly EngineContainer[], listedAt: number): Reclaimed {
    return this.#change(reclaim(this.#place(), { isAlive, bootTime }, containers, listedAt));
  }

  #withSubordinate(mount: ApprovedMount): ApprovedMount {
    if (mount.mapping !== 'caller' || mount.subordinate || mount.ownerUid === undefined) return mount;
    return { ...mount, subordinate: this.subordinateOf(mount.ownerUid) };
  }

  #place(): Workplace {
    const reserved = this.#hostIds.spans();
    if (this.#pool?.reserved !== reserved) {
      this.#pool = { reserved, pool: new Pool(this.#bounds, reserved) };
    }
    return { self: this.#self, pool: this.#pool.pool, seen: this.#seen, now: Date.now };
  }
}

/**
 * Opens the ledger of a state folder, making it when it isn't there.
 * @throws AllocatorError COFFERDAM_LEDGER_UNAVAILABLE
 */
export function openLedger(stateDir: string, options: LedgerOptions = {}): Ledger {
  return new Ledger(join(stateDir, 'ledger'), options);
}
