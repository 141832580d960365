/**
 * JSON that goes through this process without losing anything: integers that a double can't hold stay what they
 * were (an unlimited rlimit is 18446744073709551615). For files that a container engine wrote; it doesn't judge.
 */

/** Stands before the digits of a long integer while it is a string. A private-use character: no engine writes it. */
const mark = '\uE0F7';
const stringOrLongInteger = /"(?:[^"\\]|\\.)*"|(?<![\w.+-])-?\d{16,}(?![\d.eE])/g;
const markedInteger = new RegExp(`"${mark}(-?\\d+)"`, 'g');

/** Parses JSON; a long integer comes out as a string that `stringifyLossless` turns back. @throws SyntaxError */
export function parseLossless(text: string): unknown {
  if (text.includes(mark) || text.includes('\\ue0f7') || text.includes('\\uE0F7')) {
    throw new SyntaxError('U+E0F7 is not expected here');
  }
  return JSON.parse(
    text.replace(stringOrLongInteger, (found) => (found.startsWith('"') ? found : `"${mark}${found}"`)),
  );
}

/** The inverse of `parseLossless`. */
export function stringifyLossless(value: unknown): string {
  return JSON.stringify(value).replace(markedInteger, '$1');
}
