/**
 * Header fields of HTTP/1.1 messages (RFC 9112, section 5), read strictly: one spelling, one meaning.
 * Each character is looked at once. It must never repair anything: bare CR or LF, folded lines, spaces before the
 * colon and control characters are errors, because another parser could read them differently.
 */

/** One header field: its name as sent and in lower case, and its value without surrounding white space. */
export interface HeaderField {
  readonly name: string;
  readonly key: string;
  readonly value: string;
}

/** A head that isn't unambiguous HTTP/1.1. The message says what is wrong, in a few words. */
export class MalformedHead extends Error {}

const CR = 13;
const LF = 10;
const SPACE = 32;
const TAB = 9;
const COLON = 58;

const tokenCharacters = characterClass(
  (code) =>
    (code >= 48 && code <= 57) ||
    (code >= 65 && code <= 90) ||
    (code >= 97 && code <= 122) ||
    "!#$%&'*+-.^_`|~".includes(String.fromCharCode(code)),
);
const valueCharacters = characterClass(
  (code) => code === TAB || (code >= SPACE && code <= 126) || code >= 128,
);

function characterClass(contains: (code: number) => boolean): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, code) => (contains(code) ? 1 : 0));
}

/** True for a token of RFC 9110, section 5.6.2: a method's or a field's name. */
export function isToken(text: string): boolean {
  if (text === '') return false;
  for (let at = 0; at < text.length; at++) if (!tokenCharacters[text.charCodeAt(at)]) return false;
  return true;
}

/**
 * Parses the field lines of a head, up to and including the empty line that ends it.
 * @param text the head as latin1: one character is one byte
 * @param from index of the first field line
 * @throws MalformedHead
 */
export function parseFields(text: string, from: number): HeaderField[] {
  const fields: HeaderField[] = [];
  let at = from;
  while (text.charCodeAt(at) !== CR) {
    const colon = skip(tokenCharacters, text, at);
    if (colon === at || text.charCodeAt(colon) !== COLON) throw new MalformedHead('malformed header field');
    let start = colon + 1;
    while (isBlank(text.charCodeAt(start))) start++;
    const lineEnd = skip(valueCharacters, text, start);
    if (text.charCodeAt(lineEnd) !== CR || text.charCodeAt(lineEnd + 1) !== LF) {
      throw new MalformedHead('forbidden character in a header field');
    }
    let end = lineEnd;
    while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
    const name = text.slice(at, colon);
    fields.push({ name, key: name.toLowerCase(), value: text.slice(start, end) });
    at = lineEnd + 2;
  }
  if (text.charCodeAt(at + 1) !== LF || at + 2 !== text.length)
    throw new MalformedHead('malformed end of head');
  return fields;
}

function skip(characters: Uint8Array, text: string, from: number): number {
  let at = from;
  while (characters[text.charCodeAt(at)]) at++;
  return at;
}

function isBlank(code: number): boolean {
  return code === SPACE || code === TAB;
}

/** The comma-separated tokens of a Connection header, in lower case. */
export function connectionTokens(value: string): string[] {
  return value
    .toLowerCase()
    .split(',')
    .map((token) => token.trim())
    .filter((token) => token !== '');
}

/**
 * Fields that belong to one connection and are never passed on (RFC 9110, section 7.6.1). Trailer stays: it describes
 * the trailers, which are passed on with the chunks that they follow.
 */
export const hopByHop: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
]);

/**
 * Where the head that begins at `from` ends: the index behind its empty line, or -1 while it isn't there yet.
 * @param scanned how far earlier calls have looked, so that no byte is searched twice
 */
export function headEnd(bytes: Buffer, from: number, scanned: number): number {
  const found = bytes.indexOf('\r\n\r\n', Math.max(from, scanned - 3), 'latin1');
  return found === -1 ? -1 : found + 4;
}

/** True when bytes of an unfinished head hold a LF without a CR before it: no later byte can make that right. */
export function hasBareLineFeed(bytes: Buffer, from: number): boolean {
  for (let at = bytes.indexOf(LF, from); at !== -1; at = bytes.indexOf(LF, at + 1)) {
    if (at === 0 || bytes[at - 1] !== CR) return true;
  }
  return false;
}

/** A Content-Length: decimal digits and nothing else, small enough to be exact in a double. */
export function parseContentLength(value: string): number {
  if (!/^\d{1,15}$/.test(value)) throw new MalformedHead('malformed Content-Length');
  return Number(value);
}
