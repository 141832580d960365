/**
 * The pipes that a container's first process gets as standard input, output and error belong to root, because the
 * engine's shim made them. A program that opens /dev/stdout by name would be refused; so the container's root gets
 * them, as runc does itself for pipes that it makes.
 */
import { chownSync, statSync } from 'node:fs';

/**
 * Hands pipes of a process to a container's root. Anything that isn't a pipe (a terminal, a file) is left.
 * @param descriptors where the process has the container's input, output and error by now
 * @param root the container's root, as the host's number
 */
export function handOverPipes(pid: number, descriptors: readonly number[], root: number): void {
  for (const descriptor of descriptors) {
    const path = `/proc/${pid}/fd/${descriptor}`;
    const status = statSync(path, { throwIfNoEntry: false });
    if (status?.isFIFO() === true && status.uid === 0) chownSync(path, root, root);
  }
}
