/**
 * JSON pointers (RFC 6901) over parsed request bodies: how a finding names the field it is about, and how an
 * assignment reaches it. Values are never changed in place: what was judged stays as it was judged.
 */
import type { JsonObject, JsonValue } from '../engine/json.js';

/** Writes the pointer for a path of keys and indices, escaping `~` and `/`. */
export function pointer(...tokens: readonly (string | number)[]): string {
  return tokens.map((token) => `/${String(token).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}

/** The keys of a pointer, unescaped. Throws when the text isn't a pointer to something below the root. */
export function pointerTokens(text: string): readonly string[] {
  if (!text.startsWith('/')) throw new TypeError(`not a JSON pointer: ${text}`);
  const tokens = text.slice(1).split('/');
  // Rules ask for dozens of fields of each request, and hardly any name has an escape.
  if (!text.includes('~')) return tokens;
  return tokens.map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** True for a JSON object, false for null, arrays and plain values. */
export function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The value that the pointer names, or `undefined` when something on the way is missing. */
export function valueAt(root: JsonValue | undefined, text: string): JsonValue | undefined {
  let value: JsonValue | undefined = root;
  for (const token of pointerTokens(text)) {
    if (Array.isArray(value)) value = /^(0|[1-9]\d*)$/.test(token) ? value[Number(token)] : undefined;
    else if (isObject(value)) value = Object.hasOwn(value, token) ? value[token] : undefined;
    else return undefined;
  }
  return value;
}

/** The string at the pointer; `''` when it is absent or null, which Go decodes to the same. */
export function textAt(root: JsonValue | undefined, text: string): string {
  const value = valueAt(root, text);
  return typeof value === 'string' ? value : '';
}

/** The array at the pointer; empty when it is absent or null. */
export function listAt(root: JsonValue | undefined, text: string): readonly JsonValue[] {
  const value = valueAt(root, text);
  return Array.isArray(value) ? value : [];
}

/** The strings in the array at the pointer, each with its index. */
export function textsAt(root: JsonValue | undefined, text: string): readonly (readonly [number, string])[] {
  return listAt(root, text).flatMap((value, index) =>
    typeof value === 'string' ? [[index, value] as const] : [],
  );
}

/** The members of the object at the pointer; none when it is absent or null. */
export function membersAt(
  root: JsonValue | undefined,
  text: string,
): readonly (readonly [string, JsonValue])[] {
  const value = valueAt(root, text);
  return isObject(value) ? Object.entries(value) : [];
}

/** The integer at the pointer; 0 when it is absent or null, as in Go. */
export function integerAt(root: JsonValue | undefined, text: string): bigint {
  const value = valueAt(root, text);
  if (typeof value === 'bigint') return value;
  return typeof value === 'number' && Number.isInteger(value) ? BigInt(value) : 0n;
}

/**
 * A copy of `root` with the named field set, or removed for `undefined`. Objects missing on the way are made; `null`
 * counts as missing, as Go decodes it to the zero value. An element can be replaced in an array, never added or
 * removed: a rule that changes an array's length sets the whole array. Throws when the pointer leads through a plain
 * value, which would be a rule's mistake.
 */
export function withValueAt(root: JsonObject, text: string, value: JsonValue | undefined): JsonObject {
  return replaceInObject(root, pointerTokens(text), value, text);
}

function replaceInObject(
  parent: JsonObject,
  tokens: readonly string[],
  value: JsonValue | undefined,
  text: string,
): JsonObject {
  const [key, ...rest] = tokens;
  if (key === undefined) throw new TypeError(`empty JSON pointer in ${text}`);
  const old = Object.hasOwn(parent, key) ? parent[key] : undefined;
  if (rest.length > 0 && value === undefined && (old === undefined || old === null)) return parent;
  const replacement = rest.length === 0 ? value : replaceBelow(old, rest, value, text);
  // Object.fromEntries defines own properties, so that a key such as __proto__ stays plain data.
  const others = Object.entries(parent).filter(([name]) => name !== key);
  return Object.fromEntries(replacement === undefined ? others : [...others, [key, replacement]]);
}

function replaceBelow(
  old: JsonValue | undefined,
  tokens: readonly string[],
  value: JsonValue | undefined,
  text: string,
): JsonValue {
  if (old === undefined || old === null) return replaceInObject({}, tokens, value, text);
  if (isObject(old)) return replaceInObject(old, tokens, value, text);
  if (Array.isArray(old)) return replaceInArray(old, tokens, value, text);
  throw new TypeError(`${text} leads through a value that is neither an object nor an array`);
}

function replaceInArray(
  old: readonly JsonValue[],
  tokens: readonly string[],
  value: JsonValue | undefined,
  text: string,
): JsonValue[] {
  const [token, ...rest] = tokens;
  const index = Number(token);
  if (!Number.isInteger(index) || index < 0 || index >= old.length) {
    throw new TypeError(`${text} names an element that the array doesn't have`);
  }
  const replacement = rest.length === 0 ? value : replaceBelow(old[index], rest, value, text);
  if (replacement === undefined) throw new TypeError(`${text} would remove an array's element`);
  return old.with(index, replacement);
}
