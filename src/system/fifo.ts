/**
 * FIFOs (fifo(7)). Opened for reading and writing at once, opening never waits, and the pipe lives as long as this
 * process does: the other side sees its end when it is gone.
 */
import { constants, openSync } from 'node:fs';
import koffi from 'koffi';
import { SystemCallError } from './system-error.js';

const mkfifo: (path: string, mode: number) => number = koffi
  .load(null)
  .func('int mkfifo(const char *path, uint32_t mode)');

/** Makes a FIFO that only root can open. @throws SystemCallError when there is something at the path */
export function makeFifo(path: string): void {
  if (mkfifo(path, 0o600) !== 0) throw new SystemCallError('mkfifo', koffi.errno(), path);
}

/** Opens a FIFO both ways, without ever waiting; the caller closes the descriptor. */
export function openFifo(path: string): number {
  return openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
}
