/**
 * Makes the ledger agree with the engine's own list of containers after a crash, a reboot, or a time without the
 * proxy. Frees what belongs to nothing any more, and gives a container that the engine made just before a crash the
 * approvals of its own create request. What another living process is at work on is never touched, and a container
 * that the ledger doesn't know goes on working: the runtime gives it a range when it starts.
 */
import { AllocatorError } from './errors.js';
import { containerFile, createFile, intentFile, rangeFile, readRange, temporaryWriter } from './files.js';
import { dropReservation, freeRange, mergeIntoExisting, recordOf, type Workplace } from './procedures.js';
import type { IntentRequest, Reservation } from './record.js';
import { locked, type Procedure, step } from './steps.js';
import { type Survey, survey } from './survey.js';

/** A container as GET /containers/ID/json tells of it. */
export interface EngineContainer {
  readonly id: string;
  /** Without the leading slash. */
  readonly name: string;
  /** `Config.Image`. */
  readonly image: string;
  /** `Created`, milliseconds since the epoch. */
  readonly created: number;
  /** `HostConfig.Runtime` is one of ours. */
  readonly isolated: boolean;
  /** `createDigest(Config.Image, HostConfig)`. */
  readonly digest: string;
}

export interface Reclaimed {
  /** Ids of containers that are gone, whose ranges are free now. */
  readonly released: string[];
  /** Ids of containers that got the approvals of a left-over intent. */
  readonly settled: string[];
  /** How many left-over intents led to nothing. */
  readonly abandoned: number;
  /** How many are so young that the engine may still be at work on them: reclaim again after `GRACE` milliseconds. */
  readonly undecided: number;
  /** Ids of containers of the engine that the ledger knows nothing of. */
  readonly unknown: string[];
  /** Files that can't be believed; what they stand for stays in use. */
  readonly problems: AllocatorError[];
}

/** How long the engine may go on making a container whose client has gone, in milliseconds. */
export const GRACE = 120_000;

/** How far apart the clocks of the proxy's note and the engine's `Created` may be, in milliseconds. */
const CLOCK_TOLERANCE = 2_000;

/** Reclaim's own view of a process: the tests bring a simulated one. */
export interface ProcessView {
  isAlive(process: Reservation['process']): boolean;
  /** When this boot began, milliseconds since the epoch. */
  bootTime(): number;
}

function fits(request: IntentRequest, reservation: Reservation, container: EngineContainer): boolean {
  return (
    container.isolated &&
    container.image === request.image &&
    container.digest === request.digest &&
    (request.name === undefined || request.name === container.name) &&
    container.created >= reservation.createdAt - CLOCK_TOLERANCE
  );
}

/** Two requests are worth the same when whoever got the other's approvals would get nothing new. */
function worthTheSame(a: IntentRequest, b: IntentRequest): boolean {
  const worth = (request: IntentRequest): string =>
    JSON.stringify([request.caller?.uid, request.mounts, request.socketGrant]);
  return worth(a) === worth(b);
}

interface Leftover {
  readonly reservation: Reservation;
  readonly request: IntentRequest;
}

/**
 * Pairs left-over intents with unknown containers. A container that fits intents of different worth gets none of
 * them: nobody may come by another's approvals through a crash.
 */
export function pair(
  leftovers: readonly Leftover[],
  containers: readonly EngineContainer[],
): Map<string, EngineContainer> {
  const pairs = new Map<string, EngineContainer>();
  const oldestFirst = [...containers].sort((a, b) => a.created - b.created);
  for (const container of oldestFirst) {
    const candidates = leftovers.filter(({ request, reservation }) => fits(request, reservation, container));
    const first = candidates.find(({ reservation }) => !pairs.has(reservation.token));
    if (!first || candidates.some(({ request }) => !worthTheSame(request, first.request))) continue;
    pairs.set(first.reservation.token, container);
  }
  return pairs;
}

/**
 * @param containers the engine's complete list
 * @param listedAt when asking for the list began, milliseconds since the epoch: what is newer is left alone
 */
export function reclaim(
  place: Workplace,
  processes: ProcessView,
  containers: readonly EngineContainer[],
  listedAt: number,
): Procedure<Reclaimed> {
  return locked(function* () {
    yield* sweepTemporary(processes, place);
    const before = yield* survey((process) => processes.isAlive(process));
    for (const base of before.ranges) place.seen.add(base);
    const released = yield* releaseGone(before, processes, containers, listedAt);
    const intents = yield* sortOutIntents(place, before, containers);
    yield* freeOrphans(before, processes);
    const known = new Set([...before.containers.map(({ id }) => id), ...intents.settled]);
    const unknown = containers.filter(({ id, isolated }) => isolated && !known.has(id)).map(({ id }) => id);
    return { released, ...intents, unknown, problems: before.problems };
  });
}

/** Files that a dead process was writing when it ended. */
function* sweepTemporary(processes: ProcessView, place: Workplace): Procedure<void> {
  for (const name of yield* step((disk) => disk.list('temporary'))) {
    const writer = temporaryWriter(name);
    if (!writer || processes.isAlive({ ...writer, boot: place.self.boot })) continue;
    yield* step((disk) => disk.remove(`temporary/${name}`));
  }
}

/** Containers that the engine no longer has, or whose process has ended. */
function* releaseGone(
  before: Survey,
  processes: ProcessView,
  containers: readonly EngineContainer[],
  listedAt: number,
): Procedure<string[]> {
  const existing = new Set(containers.map(({ id }) => id));
  const released: string[] = [];
  for (const record of before.containers) {
    const gone = record.process
      ? !processes.isAlive(record.process)
      : !existing.has(record.id) && record.createdAt < listedAt;
    if (!gone) continue;
    yield* freeRange(record.token, record.range.base);
    yield* step((disk) => disk.remove(containerFile(record.id)));
    released.push(record.id);
  }
  return released;
}

/** Intents of processes that have ended: settled, given up, or left for later. */
function* sortOutIntents(
  place: Workplace,
  before: Survey,
  containers: readonly EngineContainer[],
): Procedure<{ settled: string[]; abandoned: number; undecided: number }> {
  const holders = new Set([...before.containers, ...before.callers].map(({ token }) => token));
  const known = new Set(before.containers.map(({ id }) => id));
  const open = before.leftovers.filter(({ token }) => !holders.has(token));
  const leftovers = open.flatMap((reservation) =>
    reservation.purpose.kind === 'create' ? [{ reservation, request: reservation.purpose.request }] : [],
  );
  const pairs = pair(
    leftovers,
    containers.filter(({ id }) => !known.has(id)),
  );
  const settled: string[] = [];
  let abandoned = 0;
  let undecided = 0;
  for (const reservation of before.leftovers) {
    const { token, range, createdAt, purpose } = reservation;
    const container = pairs.get(token);
    if (holders.has(token)) {
      // Ended between writing the record and taking the intent away.
      yield* step((disk) => disk.remove(intentFile(token)));
    } else if (container) {
      yield* settleLeftover(place, reservation, container.id);
      settled.push(container.id);
    } else if (purpose.kind === 'create' && place.now() - createdAt < GRACE && place.now() >= createdAt) {
      undecided++;
    } else {
      yield* dropReservation(token, range.base);
      abandoned++;
    }
  }
  return { settled, abandoned, undecided };
}

function* settleLeftover(place: Workplace, reservation: Reservation, id: string): Procedure<void> {
  const owner = yield* readRange(reservation.range.base);
  if (owner?.token !== reservation.token) {
    // The process ended before it had the block: no create request was sent for this intent.
    yield* step((disk) => disk.remove(intentFile(reservation.token)));
    return;
  }
  const record = recordOf(place, reservation, id, undefined);
  if (yield* createFile(place.self, containerFile(id), record)) {
    yield* step((disk) => disk.remove(intentFile(reservation.token)));
  } else {
    yield* mergeIntoExisting(place, reservation, record);
  }
}

/**
 * Blocks that nothing refers to: only a damaged or hand-deleted record leads here. One whose file can't be read is
 * freed when it is from before this boot, as after a power cut: no process of that time runs any more.
 */
function* freeOrphans(before: Survey, processes: ProcessView): Procedure<void> {
  const referred = new Set(
    [...before.containers, ...before.intents, ...before.callers].map(({ range }) => range.base),
  );
  if (before.problems.some(({ file }) => file !== undefined && !file.startsWith('ranges/'))) return;
  for (const base of before.ranges) {
    if (referred.has(base)) continue;
    try {
      const owner = yield* readRange(base);
      if (owner && !processes.isAlive(owner.process)) yield* freeRange(owner.token, base);
    } catch (error) {
      if (!(error instanceof AllocatorError) || error.code !== 'COFFERDAM_LEDGER_DAMAGED') throw error;
      const modified = yield* step((disk) => disk.modified(rangeFile(base)));
      if (modified !== undefined && modified < processes.bootTime()) {
        yield* step((disk) => disk.remove(rangeFile(base)));
      } else {
        before.problems.push(error);
      }
    }
  }
}
