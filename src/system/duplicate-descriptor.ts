/** A second descriptor of an open file: for handing over what somebody else will close. */
import koffi from 'koffi';
import { SystemCallError } from './system-error.js';

/** F_DUPFD_CLOEXEC (linux/fcntl.h). */
const duplicateCloseOnExec = 1030;

const fcntl: (descriptor: number, command: number, lowest: number) => number = koffi
  .load(null)
  .func('int fcntl(int descriptor, int command, int lowest)');

/** fcntl(2), F_DUPFD_CLOEXEC. Returns a descriptor that the caller closes. @throws SystemCallError */
export function duplicateDescriptor(descriptor: number): number {
  const duplicate = fcntl(descriptor, duplicateCloseOnExec, 0);
  if (duplicate < 0) throw new SystemCallError('fcntl', koffi.errno(), `descriptor ${descriptor}`);
  return duplicate;
}
