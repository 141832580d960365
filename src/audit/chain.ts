/**
 * The hash chain of the audit log. Each line ends with `,"chain":"…"}`, the SHA-256 of the previous line's chain
 * and of this line up to there; so a line that was changed, removed, inserted or moved shows, unless everything
 * after it was written anew as well. It proves nothing against root, who can do that: send the log elsewhere.
 */
import { hash } from 'node:crypto';

/** What the first record is chained to. */
export const chainStart = '0'.repeat(64);

const tail = /^(.*),"chain":"([0-9a-f]{64})"\}$/s;

function digest(text: string): string {
  return hash('sha256', text, 'hex');
}

/** Ends a JSON object's text with its chain. `content` is without a newline and its last brace. */
export function chained(
  previous: string,
  content: string,
): { readonly line: string; readonly chain: string } {
  const text = previous + content;
  const chain = digest(text);
  // Hashing has made one piece of the text: what is cut from it need not be put together again to be written.
  return { line: `${text.slice(previous.length)},"chain":"${chain}"}`, chain };
}

/** A line's chain as written, and whether it follows from the previous one; `undefined` for a line without. */
export function checkLine(
  previous: string | undefined,
  line: string,
): { readonly chain: string; readonly follows: boolean } | undefined {
  const [, content, chain] = tail.exec(line) ?? [];
  if (content === undefined || chain === undefined) return undefined;
  return { chain, follows: previous === undefined || digest(previous + content) === chain };
}
