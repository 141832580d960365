/**
 * The ledger's procedures are generators that hand out one file operation at a time. Whoever drives them decides
 * when each happens: `perform` at once; the property tests in any order across processes, and up to any crash.
 */
import type { LedgerDisk } from './disk.js';

/** One file operation, to be applied to the disk exactly once. */
export type Act = (disk: LedgerDisk) => void;

/** A procedure that ends with a T. */
export type Procedure<T> = Generator<Act, T, void>;

/** One step of a procedure: does `act` when its driver says so, and gives what it returned. */
export function* step<T>(act: (disk: LedgerDisk) => T): Procedure<T> {
  let outcome: { readonly value: T } | undefined;
  yield (disk) => {
    outcome = { value: act(disk) };
  };
  if (!outcome) throw new Error('a step was passed over without being done');
  return outcome.value;
}

/** Does a whole procedure at once. An operation's error is thrown inside the procedure, where it can be tidied up. */
export function perform<T>(disk: LedgerDisk, procedure: Procedure<T>): T {
  let next = procedure.next();
  while (!next.done) {
    const act = next.value;
    try {
      act(disk);
    } catch (error) {
      next = procedure.throw(error);
      continue;
    }
    next = procedure.next();
  }
  return next.value;
}

/** Runs `inside` with the ledger's lock held. What takes something away does so here, one process at a time. */
export function* locked<T>(inside: () => Procedure<T>): Procedure<T> {
  const unlock = yield* step((disk) => disk.lock());
  try {
    return yield* inside();
  } finally {
    unlock();
  }
}
