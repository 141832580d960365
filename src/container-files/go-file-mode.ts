/**
 * Go's `os.FileMode`, as dockerd tells clients of a file's kind and permissions (Go, io/fs/fs.go).
 */
import { constants, type Stats } from 'node:fs';

const kinds: ReadonlyMap<number, number> = new Map([
  [constants.S_IFDIR, 2 ** 31],
  [constants.S_IFLNK, 2 ** 27],
  [constants.S_IFBLK, 2 ** 26],
  [constants.S_IFIFO, 2 ** 25],
  [constants.S_IFSOCK, 2 ** 24],
  [constants.S_IFCHR, 2 ** 26 + 2 ** 21],
]);
/** Bits of st_mode, and of Go. */
const special = [
  [0o4000, 2 ** 23],
  [0o2000, 2 ** 22],
  [0o1000, 2 ** 20],
] as const;

export function goFileMode({ mode }: Pick<Stats, 'mode'>): number {
  const kind = kinds.get(mode & constants.S_IFMT) ?? 0;
  const bits = special.reduce((sum, [bit, go]) => ((mode & bit) === 0 ? sum : sum + go), 0);
  return kind + bits + (mode & 0o777);
}
