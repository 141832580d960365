/**
 * The hash chain of the audit log. Each line ends with `,"chain":"…"}`, the SHA-256 of the previous line's chain
 * and of this line up to there; so a line that was changed, removed, inserted or moved shows, unless everything
 * after it was written anew as well. It proves nothing against root, who can do that: send the log elsewhere.
 */
import { hash } from 'node:crypto';

/** Characters of a chain: SHA-256 in hexadecimal digits. */
export const chainCharacters = 64;

/** What the first record is chained to. */
export const chainStart = '0'.repeat(chainCharacters);

const tail = /^(.*),"chain":"([0-9a-f]{64})"\}$/s;

/** The chain of a line. @param text the chain before it and, at once behind it, the line up to its own chain */
export function chainDigest(text: string | Uint8Array): string {
  return hash('sha256', text, 'hex');
}

/** A line's chain as written, and whether it follows from the previous one; `undefined` for a line without. */
export function checkLine(
  previous: string | undefined,
  line: string,
): { readonly chain: string; readonly follows: boolean } | undefined {
  const [, content, chain] = tail.exec(line) ?? [];
  if (content === undefined || chain === undefined) return undefined;
  return { chain, follows: previous === undefined || chainDigest(previous + content) === chain };
}
