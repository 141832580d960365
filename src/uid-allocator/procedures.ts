/**
 * How the ledger changes: each procedure is safe against any other one in another process, and against the end of
 * its own process after any step. What that rests on:
 *
 *   1. A block is owned by whoever's token stands in `ranges/BASE`. That file comes into being whole, by link(2),
 *      so two processes can't both make it.
 *   2. `intents/TOKEN` exists before `ranges/BASE` does, and `containers/ID` before the intent goes: at no moment is
 *      a block owned by something that can't be found.
 *   3. Only the holder of the lock takes a `ranges/` file away, and only when it carries the token it should: a
 *      block that has gone to somebody else is never freed by mistake. The lock ends with its process.
 *   4. A record counts only while its block still carries its token.
 */
import { AllocatorError } from './errors.js';
import {
  callerFile,
  containerFile,
  createFile,
  cursorFile,
  damaged,
  intentFile,
  listRanges,
  newToken,
  rangeFile,
  readCaller,
  readContainer,
  readRange,
  replaceFile,
} from './files.js';
import type { BlockSet, Pool } from './pool.js';
import type { CallerRecord, ContainerRecord, ProcessIdentity, Range, Reservation } from './record.js';
import { locked, type Procedure, step } from './steps.js';

/** What a procedure knows of the process that runs it. */
export interface Workplace {
  readonly self: ProcessIdentity;
  readonly pool: Pool;
  /** Blocks last seen in use: only a hint that saves looking, the disk decides. */
  readonly seen: BlockSet;
  now(): number;
}

/** So many blocks found taken one after the other make it worth listing them all. */
const LOOKS_BEFORE_LISTING = 16;

function* readCursor(): Procedure<number | undefined> {
  const text = yield* step((disk) => disk.read(cursorFile));
  return text !== undefined && /^\d{10}\n$/.test(text) ? Number(text) : undefined;
}

/** Looks at the disk, which decides. */
function* isTaken(place: Workplace, base: number, looked: { count: number }): Procedure<boolean> {
  looked.count++;
  if (looked.count === LOOKS_BEFORE_LISTING) {
    for (const used of yield* listRanges()) place.seen.add(used);
    return place.seen.has(base);
  }
  return yield* step((disk) => disk.exists(rangeFile(base)));
}

/** Tries the candidates in order. @returns undefined when every one of them is taken */
function* takeFirstFree(
  place: Workplace,
  candidates: Iterable<Range>,
  purpose: Reservation['purpose'],
): Procedure<Reservation | undefined> {
  const token = newToken();
  const looked = { count: 0 };
  let noted = false;
  for (const range of candidates) {
    if (yield* isTaken(place, range.base, looked)) {
      place.seen.add(range.base);
      continue;
    }
    const createdAt = place.now();
    const reservation: Reservation = { version: 1, token, range, process: place.self, createdAt, purpose };
    try {
      yield* replaceFile(place.self, intentFile(token), reservation);
      noted = true;
      const won = yield* step((disk) => disk.link(intentFile(token), rangeFile(range.base)));
      place.seen.add(range.base);
      if (won) return reservation;
    } catch (error) {
      if (noted) yield* withdraw(token, range.base);
      throw error;
    }
  }
  if (noted) yield* step((disk) => disk.remove(intentFile(token)));
  return undefined;
}

/** After a failed operation: gives back what may have been taken, as far as the disk still obeys. */
function* withdraw(token: string, base: number): Procedure<void> {
  try {
    yield* locked(() => dropReservation(token, base));
  } catch {
    // The error that led here is the one to report; `reclaim` finds the intent when this process has ended.
  }
}

function exhausted(pool: Pool): AllocatorError {
  const message =
    `all ${pool.size} ranges of user ids are in use; remove containers that are no longer needed, ` +
    'or give the pool more ids (setting uidRanges)';
  return new AllocatorError('COFFERDAM_RANGES_EXHAUSTED', message);
}

/**
 * Takes a block that nobody has, upwards and round for containers, from the top for callers.
 * @throws AllocatorError COFFERDAM_RANGES_EXHAUSTED; never shares
 */
export function* reserve(place: Workplace, purpose: Reservation['purpose']): Procedure<Reservation> {
  const forCaller = purpose.kind === 'caller';
  const last = forCaller ? undefined : yield* readCursor();
  const candidates = (): Iterable<Range> =>
    forCaller ? place.pool.fromTop(place.seen) : place.pool.after(last, place.seen);
  let reservation = yield* takeFirstFree(place, candidates(), purpose);
  if (!reservation) {
    // Others may have freed blocks that this process saw in use: look again, at the disk alone.
    place.seen.clear();
    for (const used of yield* listRanges()) place.seen.add(used);
    reservation = yield* takeFirstFree(place, candidates(), purpose);
  }
  if (!reservation) throw exhausted(place.pool);
  if (!forCaller) {
    try {
      const { base } = reservation.range;
      yield* step((disk) => disk.overwrite(cursorFile, `${String(base).padStart(10, '0')}\n`));
    } catch (error) {
      yield* withdraw(reservation.token, reservation.range.base);
      throw error;
    }
  }
  return reservation;
}

/** Under the lock: frees a block, if it is still the token's. A file that can't be read keeps its block. */
export function* freeRange(token: string, base: number): Procedure<boolean> {
  const owner = yield* readRange(base);
  if (owner?.token !== token) return false;
  return yield* step((disk) => disk.remove(rangeFile(base)));
}

/** Under the lock: frees a reservation's block, then forgets the reservation. */
export function* dropReservation(token: string, base: number): Procedure<void> {
  yield* freeRange(token, base);
  yield* step((disk) => disk.remove(intentFile(token)));
}

/** Gives up a reservation that became no container. */
export function abandon(reservation: Reservation): Procedure<void> {
  return locked(() => dropReservation(reservation.token, reservation.range.base));
}

/** Frees the block and forgets the container. @returns false when the ledger doesn't know it */
export function release(id: string): Procedure<boolean> {
  return locked(function* () {
    const record = yield* readContainer(id);
    if (!record) return false;
    // The block first: were the record gone first, nothing would lead to a block that a crash left behind.
    yield* freeRange(record.token, record.range.base);
    yield* step((disk) => disk.remove(containerFile(id)));
    return true;
  });
}

/** What the ledger knows of a container, provided its block is still its own. */
export function* readValid(id: string): Procedure<ContainerRecord | undefined> {
  const record = yield* readContainer(id);
  if (!record) return undefined;
  const owner = yield* readRange(record.range.base);
  if (owner?.token !== record.token || owner.range.size !== record.range.size) {
    // Between the two reads the container may have been destroyed; then there is no record any more.
    if (!(yield* readContainer(id))) return undefined;
    throw damaged(containerFile(id), `the range ${record.range.base} belongs to something else`);
  }
  return record;
}

/** The record that a reservation for a create request becomes once the engine has named the container. */
export function recordOf(
  place: Workplace,
  reservation: Reservation,
  id: string,
  imageId: string | undefined,
): ContainerRecord {
  const { token, range, purpose } = reservation;
  if (purpose.kind !== 'create') throw new Error(`reservation ${token} isn't one for a create request`);
  const { caller, mounts, asked, socketGrant } = purpose.request;
  const image = imageId ?? purpose.request.imageId;
  return {
    version: 1,
    id,
    range,
    ...(caller && { caller }),
    mounts,
    ...(asked && { asked }),
    socketGrant,
    ...(image !== undefined && { imageId: image }),
    createdAt: place.now(),
    token,
  };
}

/**
 * Turns an intent into the container's record. When the runtime was asked for the container before (somebody started
 * it between the engine's create and this), the range that it runs with stays, and only the approvals are added.
 */
export function* settle(
  place: Workplace,
  reservation: Reservation,
  id: string,
  imageId?: string,
): Procedure<ContainerRecord> {
  const record = recordOf(place, reservation, id, imageId);
  if (yield* createFile(place.self, containerFile(id), record)) {
    yield* step((disk) => disk.remove(intentFile(reservation.token)));
    return record;
  }
  return yield* locked(() => mergeIntoExisting(place, reservation, record));
}

/** Under the lock: see `settle`. */
export function* mergeIntoExisting(
  place: Workplace,
  reservation: Reservation,
  record: ContainerRecord,
): Procedure<ContainerRecord> {
  const existing = yield* readContainer(record.id);
  if (!existing) {
    // Destroyed in the meantime, or so it seems: `reclaim` frees the range when the engine doesn't know it either.
    yield* replaceFile(place.self, containerFile(record.id), record);
    yield* step((disk) => disk.remove(intentFile(reservation.token)));
    return record;
  }
  if (existing.token === reservation.token) {
    yield* step((disk) => disk.remove(intentFile(reservation.token)));
    return existing;
  }
  const merged = { ...record, range: existing.range, token: existing.token };
  yield* replaceFile(place.self, containerFile(record.id), merged);
  yield* dropReservation(reservation.token, reservation.range.base);
  return merged;
}

/**
 * The record of a container that no create request of ours led to; made, with a range of its own, when there is none.
 * @param process when given, the container lives only as long as it does
 */
export function* recordFor(
  place: Workplace,
  id: string,
  process: ProcessIdentity | undefined,
): Procedure<ContainerRecord> {
  const known = yield* readValid(id);
  if (known) return known;
  const { token, range } = yield* reserve(place, { kind: 'container', id });
  const record: ContainerRecord = {
    version: 1,
    id,
    range,
    mounts: [],
    socketGrant: false,
    createdAt: place.now(),
    token,
    ...(process && { process }),
  };
  if (yield* createFile(place.self, containerFile(id), record)) {
    yield* step((disk) => disk.remove(intentFile(token)));
    return record;
  }
  yield* locked(() => dropReservation(token, range.base));
  const winner = yield* readValid(id);
  if (!winner) throw damaged(containerFile(id), 'it went away while its container was being started');
  return winner;
}

/** The block that is a caller's for good; made when it has none. */
export function* callerRecordFor(place: Workplace, uid: number): Procedure<CallerRecord> {
  const known = yield* readCaller(uid);
  if (known) return known;
  const { token, range, createdAt } = yield* reserve(place, { kind: 'caller', uid });
  const record: CallerRecord = { version: 1, uid, range, token, createdAt };
  if (yield* createFile(place.self, callerFile(uid), record)) {
    yield* step((disk) => disk.remove(intentFile(token)));
    return record;
  }
  yield* locked(() => dropReservation(token, range.base));
  const winner = yield* readCaller(uid);
  if (!winner) throw damaged(callerFile(uid), 'it went away while it was being made');
  return winner;
}
