/**
 * The ledger's files: their names, and reading and writing them as records. A file is believed only when its
 * schema, its name and its version agree; anything else is an error that names the file.
 */
import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { AllocatorError } from './errors.js';
import { type PoolBounds, wholePool } from './pool.js';
import { blockIndex } from './range.js';
import {
  type CallerRecord,
  type ContainerRecord,
  callerRecordSchema,
  containerRecordSchema,
  type ProcessIdentity,
  type Reservation,
  reservationSchema,
} from './record.js';
import { type Procedure, step } from './steps.js';

export const cursorFile = 'cursor';
const boundsFile = 'pool';
export const rangeFile = (base: number): string => `ranges/${base}`;
export const intentFile = (token: string): string => `intents/${token}`;
export const callerFile = (uid: number): string => `callers/${uid}`;

/** A container id becomes a file name, so it may not lead out of the folder or hide in it. */
const containerId = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/;

/** @throws AllocatorError COFFERDAM_LEDGER_DAMAGED when no engine gives such an id */
export function containerFile(id: string): string {
  if (!containerId.test(id)) {
    throw new AllocatorError('COFFERDAM_LEDGER_DAMAGED', `${JSON.stringify(id)} is no container id`);
  }
  return `containers/${id}`;
}

export function newToken(): string {
  return randomBytes(12).toString('hex');
}

/** Says that a file can't be believed; `path` is relative to the ledger. */
export function damaged(path: string, reason: string, cause?: unknown): AllocatorError {
  const message = `the ledger's file ${path} can't be believed (${reason}); move it away once nothing uses it`;
  return new AllocatorError('COFFERDAM_LEDGER_DAMAGED', message, { file: path, cause });
}

function parse<T>(path: string, text: string, schema: z.ZodType<T>): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw damaged(path, text === '' ? 'it is empty' : 'it is torn', cause);
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw damaged(path, `${issue?.path.join('.') || 'record'}: ${issue?.message ?? 'wrong'}`, parsed.error);
}

function* readAs<T>(
  path: string,
  schema: z.ZodType<T>,
  fits: (record: T) => boolean,
): Procedure<T | undefined> {
  const text = yield* step((disk) => disk.read(path));
  if (text === undefined) return undefined;
  const record = parse(path, text, schema);
  if (!fits(record)) throw damaged(path, 'its name and its content disagree');
  return record;
}

/** What the block at `base` was reserved for; undefined when it is free. */
export const readRange = (base: number): Procedure<Reservation | undefined> =>
  readAs(rangeFile(base), reservationSchema, (record) => record.range.base === base);

export const readIntent = (token: string): Procedure<Reservation | undefined> =>
  readAs(intentFile(token), reservationSchema, (record) => record.token === token);

export const readContainer = (id: string): Procedure<ContainerRecord | undefined> =>
  readAs(containerFile(id), containerRecordSchema, (record) => record.id === id);

export const readCaller = (uid: number): Procedure<CallerRecord | undefined> =>
  readAs(callerFile(uid), callerRecordSchema, (record) => record.uid === uid);

/** Temporary files carry their writer's pid and start time, so that a dead writer's can be swept. */
const temporaryName = /^(\d+)-(\d+)-[0-9a-f]+$/;

/** The process that wrote a file of `temporary/`, but for its boot. */
export function temporaryWriter(name: string): { pid: number; startTime: string } | undefined {
  const [, pid, startTime] = temporaryName.exec(name) ?? [];
  return pid === undefined || startTime === undefined ? undefined : { pid: Number(pid), startTime };
}

function* writeTemporary(self: ProcessIdentity, record: object | string): Procedure<string> {
  const path = `temporary/${self.pid}-${self.startTime}-${newToken()}`;
  const text = typeof record === 'string' ? record : `${JSON.stringify(record)}\n`;
  try {
    yield* step((disk) => disk.write(path, text));
  } catch (error) {
    yield* discard(path);
    throw error;
  }
  return path;
}

/** Takes away a temporary file; a disk that refuses even this has already said so. */
function* discard(path: string): Procedure<void> {
  try {
    yield* step((disk) => disk.remove(path));
  } catch {
    // The next sweep takes it; the error that led here is the one to report.
  }
}

/** Puts a complete file at `path`, instead of what was there. */
export function* replaceFile(self: ProcessIdentity, path: string, record: object | string): Procedure<void> {
  const temporary = yield* writeTemporary(self, record);
  try {
    yield* step((disk) => disk.rename(temporary, path));
  } catch (error) {
    yield* discard(temporary);
    throw error;
  }
}

/** Puts a complete file at `path` unless one is there already. @returns false when there is one */
export function* createFile(self: ProcessIdentity, path: string, record: object): Procedure<boolean> {
  const temporary = yield* writeTemporary(self, record);
  try {
    return yield* step((disk) => disk.link(temporary, path));
  } finally {
    yield* discard(temporary);
  }
}

/** The bases of all blocks in use. @throws AllocatorError COFFERDAM_LEDGER_DAMAGED at a file that names no block */
export function* listRanges(): Procedure<Set<number>> {
  const bases = new Set<number>();
  for (const name of yield* step((disk) => disk.list('ranges'))) {
    const base = Number(name);
    if (String(base) !== name || blockIndex(base) === undefined)
      throw damaged(`ranges/${name}`, 'it names no block');
    bases.add(base);
  }
  return bases;
}

const boundsSchema = z.object({ first: z.number().int().min(0), last: z.number().int().max(0xffff_fffe) });

/** Notes the pool's bounds for other processes, or reads what was noted. */
export function* agreeOnBounds(self: ProcessIdentity, wanted: PoolBounds | undefined): Procedure<PoolBounds> {
  const text = yield* step((disk) => disk.read(boundsFile));
  if (!wanted) return text === undefined ? wholePool : parse(boundsFile, text, boundsSchema);
  if (text !== `${JSON.stringify(wanted)}\n`) yield* replaceFile(self, boundsFile, wanted);
  return wanted;
}
