/**
 * How V8 grows the daemon's heap and gives it back. Buffers that sockets are read into count as garbage of the heap;
 * after a quiet time V8 lets a small heap grow by a few megabytes only, and then collects all of it for every 30 MB that
 * pass through: a `docker save` took four times the CPU time. Must be called before the heap is in use for long; memory
 * that was needed is still given back in the next quiet time.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import koffi from 'koffi';
import { z } from 'zod';

/** Lets the heap grow to three times of what is alive before all of it is collected. */
export function letHeapGrow(): void {
  setFlagsFromString('--heap-growing-percent=200');
}

/** After this time the last garbage of the start is there, in milliseconds. */
const settledAfter = 2_000;
/** V8 waits for eight quiet seconds after a full collection, and then takes two more. */
const givenBackAfter = 14_000;
const collectorSchema = z.custom<() => void>((value) => typeof value === 'function');

/**
 * Gives back what only the start needed, a third of the resident memory. V8 waits for a quiet time after a full
 * collection to do so (v8 src/heap/memory-reducer.cc), and the start alone is too small for one: without this it
 * can last for hours. One full collection takes some 20 ms. The C library keeps what its threads have freed until it
 * is told to give it back (malloc_trim(3)).
 */
export function giveBackAfterStart(): void {
  setTimeout(collect, settledAfter).unref();
  setTimeout(trimAllocator, givenBackAfter).unref();
}

function collect(): void {
  setFlagsFromString('--expose-gc');
  const collector = collectorSchema.safeParse(runInNewContext('globalThis.gc'));
  setFlagsFromString('--no-expose-gc');
  if (collector.success) collector.data();
}

function trimAllocator(): void {
  koffi.load(null).func('int malloc_trim(size_t keep)')(0);
}
