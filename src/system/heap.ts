/**
 * How V8 grows the daemon's heap. Buffers that sockets are read into count as garbage of the heap; after a quiet time
 * V8 lets a small heap grow by a few megabytes only, and then collects all of it for every 30 MB that pass through: a
 * `docker save` took four times the CPU time. Must be called before the heap is in use for long; memory that was
 * needed is still given back in the next quiet time.
 */
import { setFlagsFromString } from 'node:v8';

/** Lets the heap grow to three times of what is alive before all of it is collected. */
export function letHeapGrow(): void {
  setFlagsFromString('--heap-growing-percent=200');
}
