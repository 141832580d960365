/**
 * JSON as Go's encoding/json reads and writes it, without loss, and without the leniency that makes two parsers
 * disagree. Refused: duplicate keys, keys that Go would fold together (`Binds`, `binds`, `Bindſ`), bytes behind the
 * value, invalid UTF-8, a byte order mark, NUL in strings, lone surrogates, and values too deep or too long.
 * Must never return a value that another parser could read differently.
 */
import { isAscii, isUtf8 } from 'node:buffer';

/**
 * A JSON value as Go's encoding/json would see it, without loss: integers that a double can't hold are bigint.
 */
export type JsonValue = null | boolean | number | bigint | string | JsonArray | JsonObject;
export type JsonArray = JsonValue[];
export interface JsonObject {
  [key: string]: JsonValue;
}

/** Nesting that no Docker client comes near; Go itself stops at 10,000. */
const maximumDepth = 64;

/** A text that isn't JSON, or isn't JSON that everybody reads alike. */
export class JsonProblem extends Error {
  readonly code = 'COFFERDAM_BAD_BODY';
  /** RFC 6901 pointer to the value at fault; empty for the whole text. */
  readonly pointer: string;
  /** Byte offset in the text; -1 when the fault isn't at one place. */
  readonly offset: number;

  constructor(message: string, pointer: string, offset: number) {
    super(message);
    this.pointer = pointer;
    this.offset = offset;
  }
}

interface Reader {
  readonly text: string;
  at: number;
  depth: number;
  /** Keys and indices from the root to the value being read. */
  readonly path: (string | number)[];
}

function fail(reader: Reader, message: string, at = reader.at): never {
  const pointer = reader.path
    .map((token) => `/${String(token).replaceAll('~', '~0').replaceAll('/', '~1')}`)
    .join('');
  throw new JsonProblem(message, pointer, at);
}

/**
 * Parses a JSON text. Integers within ±(2^53-1) become numbers, others bigint; numbers with a fraction become
 * doubles. An integer written with a fraction or an exponent (`1.0`, `1e3`) is refused, as Go refuses it for every
 * integer field, and Docker has no other numbers.
 * @throws JsonProblem
 */
export function parseGoJson(bytes: Buffer): JsonValue {
  if (!isUtf8(bytes)) throw new JsonProblem('the body is not valid UTF-8', '', -1);
  const text = isAscii(bytes) ? bytes.toString('latin1') : bytes.toString('utf8');
  const reader: Reader = { text, at: 0, depth: 0, path: [] };
  if (text.charCodeAt(0) === 0xfeff) fail(reader, 'the body begins with a byte order mark');
  skipSpace(reader);
  if (reader.at === text.length) fail(reader, 'the body is empty where JSON is expected');
  const value = readValue(reader);
  skipSpace(reader);
  if (reader.at < text.length) fail(reader, 'the body has more behind its JSON value');
  return value;
}

function skipSpace(reader: Reader): void {
  const { text } = reader;
  for (;;) {
    const code = text.charCodeAt(reader.at);
    if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
    reader.at += 1;
  }
}

function readValue(reader: Reader): JsonValue {
  switch (reader.text.charCodeAt(reader.at)) {
    case 0x22:
      return readString(reader);
    case 0x7b:
      return readObject(reader);
    case 0x5b:
      return readArray(reader);
    case 0x74:
      return readWord(reader, 'true', true);
    case 0x66:
      return readWord(reader, 'false', false);
    case 0x6e:
      return readWord(reader, 'null', null);
    default:
      return readNumber(reader);
  }
}

function readWord<Value extends boolean | null>(reader: Reader, word: string, value: Value): Value {
  if (!reader.text.startsWith(word, reader.at)) fail(reader, 'the body is not well-formed JSON');
  reader.at += word.length;
  return value;
}

const numberPattern = /-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/y;
/** More digits than any 64-bit integer or double needs. */
const maximumNumberLength = 64;

function readNumber(reader: Reader): number | bigint {
  numberPattern.lastIndex = reader.at;
  const found = numberPattern.exec(reader.text);
  if (found === null) fail(reader, 'the body is not well-formed JSON');
  const [literal, fraction, exponent] = found;
  if (literal.length > maximumNumberLength) fail(reader, 'a number in the body is too long');
  const value = Number(literal);
  if (fraction === undefined && exponent === undefined) {
    reader.at += literal.length;
    if (Number.isSafeInteger(value)) return value + 0;
    return BigInt(literal);
  }
  if (!Number.isFinite(value) || Number.isInteger(value)) {
    fail(reader, `the number ${literal} must be written without fraction and exponent`);
  }
  reader.at += literal.length;
  return value;
}

function readString(reader: Reader): string {
  const { text } = reader;
  const start = reader.at + 1;
  for (let at = start; ; at += 1) {
    const code = text.charCodeAt(at);
    if (code === 0x22) {
      reader.at = at + 1;
      return text.slice(start, at);
    }
    if (code === 0x5c) return readEscapedString(reader, start, at);
    // NaN at the end of the text fails the comparison as well.
    if (!(code >= 0x20)) fail(reader, 'a string in the body has a control character or no end', at);
  }
}

const shortEscapes: ReadonlyMap<string, string> = new Map([
  ['"', '"'],
  ['\\', '\\'],
  ['/', '/'],
  ['b', '\b'],
  ['f', '\f'],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
]);

/** With the u flag a pair is one character, so that only a lone half has this property. */
const loneSurrogate = /\p{Surrogate}/u;

function readEscapedString(reader: Reader, start: number, firstEscape: number): string {
  const { text } = reader;
  let result = text.slice(start, firstEscape);
  let at = firstEscape;
  for (;;) {
    const code = text.charCodeAt(at);
    if (code === 0x22) break;
    if (!(code >= 0x20)) fail(reader, 'a string in the body has a control character or no end', at);
    if (code !== 0x5c) {
      result += text[at];
      at += 1;
      continue;
    }
    const letter = text.charAt(at + 1);
    if (letter === 'u') {
      result += readCodeUnit(reader, at);
      at += 6;
      continue;
    }
    const short = shortEscapes.get(letter);
    if (short === undefined) fail(reader, 'a string in the body has an unknown escape', at);
    result += short;
    at += 2;
  }
  // Go would put U+FFFD in a lone surrogate's place: two parsers, two strings.
  if (loneSurrogate.test(result)) fail(reader, 'a string in the body has half of a surrogate pair');
  reader.at = at + 1;
  return result;
}

function readCodeUnit(reader: Reader, at: number): string {
  const digits = reader.text.slice(at + 2, at + 6);
  if (!/^[0-9a-fA-F]{4}$/.test(digits)) fail(reader, 'a string in the body has a malformed \\u escape', at);
  const unit = Number.parseInt(digits, 16);
  if (unit === 0) fail(reader, 'a string in the body has a NUL', at);
  return String.fromCharCode(unit);
}

function enter(reader: Reader): void {
  reader.depth += 1;
  if (reader.depth > maximumDepth) fail(reader, `the body is nested deeper than ${maximumDepth} levels`);
  reader.at += 1;
  skipSpace(reader);
}

function readObject(reader: Reader): JsonObject {
  const { text } = reader;
  const object: JsonObject = {};
  enter(reader);
  if (text.charCodeAt(reader.at) === 0x7d) return leave(reader, object);
  for (;;) {
    if (text.charCodeAt(reader.at) !== 0x22) fail(reader, 'the body is not well-formed JSON');
    const key = readString(reader);
    reader.path.push(key);
    if (Object.hasOwn(object, key)) fail(reader, `the key ${JSON.stringify(key)} is given twice`);
    skipSpace(reader);
    if (text.charCodeAt(reader.at) !== 0x3a) fail(reader, 'the body is not well-formed JSON');
    reader.at += 1;
    skipSpace(reader);
    const value = readValue(reader);
    if (key === '__proto__') defineOwn(object, key, value);
    else object[key] = value;
    reader.path.pop();
    skipSpace(reader);
    const next = text.charCodeAt(reader.at);
    if (next === 0x7d) return leave(reader, object);
    if (next !== 0x2c) fail(reader, 'the body is not well-formed JSON');
    reader.at += 1;
    skipSpace(reader);
  }
}

/** Assignment would set the prototype instead of a field. */
function defineOwn(object: JsonObject, key: string, value: JsonValue): void {
  Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true });
}

function readArray(reader: Reader): JsonArray {
  const { text } = reader;
  const array: JsonArray = [];
  enter(reader);
  if (text.charCodeAt(reader.at) === 0x5d) return leave(reader, array);
  for (;;) {
    reader.path.push(array.length);
    array.push(readValue(reader));
    reader.path.pop();
    skipSpace(reader);
    const next = text.charCodeAt(reader.at);
    if (next === 0x5d) return leave(reader, array);
    if (next !== 0x2c) fail(reader, 'the body is not well-formed JSON');
    reader.at += 1;
    skipSpace(reader);
  }
}

function leave<Value>(reader: Reader, value: Value): Value {
  reader.at += 1;
  reader.depth -= 1;
  return value;
}

/**
 * Writes a value as compact JSON that Go reads as exactly this value.
 * @throws TypeError for a number that isn't finite, or an integer that a double can't hold: use a bigint
 */
export function stringifyJson(value: JsonValue): string {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return JSON.stringify(value);
    case 'bigint':
      return value.toString();
    case 'number':
      if (!Number.isFinite(value) || (Number.isInteger(value) && !Number.isSafeInteger(value))) {
        throw new TypeError(`${value} can't be written as JSON without loss`);
      }
      return JSON.stringify(value);
    default:
      if (value === null) return 'null';
      return Array.isArray(value) ? stringifyArray(value) : stringifyObject(value);
  }
}

function stringifyArray(array: JsonArray): string {
  let text = '[';
  for (const [index, element] of array.entries()) {
    if (index > 0) text += ',';
    text += stringifyJson(element);
  }
  return `${text}]`;
}

function stringifyObject(object: JsonObject): string {
  let text = '{';
  for (const key of Object.keys(object)) {
    const value = object[key];
    if (value === undefined) throw new TypeError(`${key} has no value that JSON can write`);
    if (text.length > 1) text += ',';
    text += `${JSON.stringify(key)}:${stringifyJson(value)}`;
  }
  return `${text}}`;
}
