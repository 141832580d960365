/**
 * What a caller may do by being who it is.
 */
import type { Caller } from '../uid-allocator/record.js';

/** True for uid 0 on the socket itself. A container's socket never speaks for root, whoever started the container. */
export function isRootCaller(caller: Caller): boolean {
  return caller.uid === 0 && caller.container === undefined;
}
