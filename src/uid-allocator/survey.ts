/**
 * Reads the whole ledger without changing it, and goes on past files that can't be believed, naming each.
 */
import { AllocatorError } from './errors.js';
import { damaged, readCaller, readContainer, readIntent } from './files.js';
import { blockIndex } from './range.js';
import type { CallerRecord, ContainerRecord, ProcessIdentity, Reservation } from './record.js';
import { type Procedure, step } from './steps.js';

export interface Survey {
  readonly containers: ContainerRecord[];
  readonly intents: Reservation[];
  /** Those of them whose process had ended before the containers were read. */
  readonly leftovers: Reservation[];
  readonly callers: CallerRecord[];
  /** The bases of all blocks in use. */
  readonly ranges: Set<number>;
  /** One for each file that can't be believed. */
  readonly problems: AllocatorError[];
}

function* readAll<T>(
  folder: string,
  read: (name: string) => Procedure<T | undefined>,
  problems: AllocatorError[],
): Procedure<T[]> {
  const records: T[] = [];
  for (const name of yield* step((disk) => disk.list(folder))) {
    try {
      const record = yield* read(name);
      if (record !== undefined) records.push(record);
    } catch (error) {
      if (!(error instanceof AllocatorError)) throw error;
      problems.push(error);
    }
  }
  return records;
}

/**
 * Ranges are read first, then intents, then containers: a block's intent is there before the block is, and its
 * container before the intent goes, so that whoever a block belongs to is seen even while others are at work.
 * For the same reason it is settled in between whether an intent's process has ended: all that it did is seen then.
 */
export function* survey(isAlive: (process: ProcessIdentity) => boolean): Procedure<Survey> {
  const problems: AllocatorError[] = [];
  const ranges = new Set<number>();
  for (const name of yield* step((disk) => disk.list('ranges'))) {
    if (String(Number(name)) === name && blockIndex(Number(name)) !== undefined) ranges.add(Number(name));
    else problems.push(damaged(`ranges/${name}`, 'it names no block'));
  }
  const intents = yield* readAll('intents', readIntent, problems);
  const leftovers = intents.filter(({ process }) => !isAlive(process));
  const containers = yield* readAll('containers', readContainer, problems);
  const callers = yield* readAll('callers', (name) => readCaller(Number(name)), problems);
  return { containers, intents, leftovers, callers, ranges, problems };
}
