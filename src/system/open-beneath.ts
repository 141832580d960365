/**
 * Opening a path in a way that can't be led elsewhere (openat2(2)). What a descriptor from here refers to is what
 * the path was when it was opened, and stays so.
 */
import { openat2 } from './libc.js';

const AT_FDCWD = -100;
const O_PATH = 0x200000;
const O_CLOEXEC = 0x80000;

/** RESOLVE_ flags of openat2(2). */
export const resolveFlag = {
  noCrossDevice: 0x01,
  noMagicLinks: 0x02,
  noSymlinks: 0x04,
  beneath: 0x08,
  inRoot: 0x10,
} as const;

/**
 * Opens a path with resolve restrictions; the caller closes the descriptor. Without `directory` the path is
 * absolute. By default only a reference is opened (O_PATH): no permission on the file itself is needed.
 */
export function openResolved(
  path: string,
  options: {
    readonly resolve: number;
    readonly directory?: number;
    readonly flags?: number;
    readonly mode?: number;
  },
): number {
  const how = Buffer.alloc(24);
  how.writeBigUInt64LE(BigInt((options.flags ?? O_PATH) | O_CLOEXEC), 0);
  how.writeBigUInt64LE(BigInt(options.mode ?? 0), 8);
  how.writeBigUInt64LE(BigInt(options.resolve), 16);
  return openat2(options.directory ?? AT_FDCWD, path, how, path);
}
