/** Looks for a word in a large file, such as a program, without holding all of it in memory. */
import { closeSync, openSync, readSync } from 'node:fs';

const pieceBytes = 256 * 1024;

/**
 * Whether a file's bytes hold a word somewhere. The file is read in pieces that overlap, so that a word across two of
 * them is found.
 * @param word ASCII, not empty, shorter than a piece
 * @throws the file system's error
 */
export function fileContains(path: string, word: string): boolean {
  const piece = Buffer.allocUnsafeSlow(pieceBytes);
  const descriptor = openSync(path, 'r');
  try {
    for (let kept = 0; ; ) {
      const count = readSync(descriptor, piece, kept, pieceBytes - kept, null);
      const bytes = piece.subarray(0, kept + count);
      if (bytes.includes(word, 0, 'latin1')) return true;
      if (count === 0) return false;
      kept = Math.min(bytes.length, word.length - 1);
      bytes.copy(piece, 0, bytes.length - kept);
    }
  } finally {
    closeSync(descriptor);
  }
}
