/**
 * Types a request body by the model of its endpoint, as dockerd's structs would decode it, so that what rules judge
 * and what the engine gets is one and the same. Must never pass on a key that no model knows, nor let a value of the
 * wrong type count as absent. Pure.
 */
import type { JsonArray, JsonObject, JsonValue } from './json.js';
import {
  type Field,
  type FieldType,
  foldKey,
  type IntegerName,
  type StructType,
} from './model/field-types.js';
import { type BodyModel, bodyModels } from './model/index.js';
import type { RequestProblem } from './problem.js';
import type { Route } from './routes.js';

/** A typed body: `list` for the few plugin endpoints whose body is an array, `body` for all others. */
export type TypedBody = { readonly body: JsonObject } | { readonly list: JsonArray };

/** The names of the body's top-level fields, for `parseQuery`; absent for routes without a JSON body. */
export function bodyFieldNames(route: Route): ReadonlySet<string> | undefined {
  const model = bodyModels.get(route.name);
  if (model?.type.kind !== 'struct') return undefined;
  let names = fieldNames.get(model);
  if (names === undefined) {
    names = new Set(model.type.fields.keys());
    fieldNames.set(model, names);
  }
  return names;
}

const fieldNames = new WeakMap<BodyModel, ReadonlySet<string>>();

/**
 * Types the body of a request. `null` for a field means that it is absent, as in Go; unknown fields without a value
 * are dropped, because newer clients send them all the time. Everything wrong is reported at once.
 * @param route a route whose body is JSON
 * @param value the parsed body; `undefined` when the request has none
 * @param apiVersion the request's API version: fields newer than it stay, because engines decode them all the same
 */
export function typeBody(
  route: Route,
  value: JsonValue | undefined,
  apiVersion: string,
): TypedBody | { readonly problems: readonly RequestProblem[] } {
  const model = bodyModels.get(route.name);
  if (model === undefined) throw new TypeError(`${route.name} has no body model`);
  if (value === undefined && model.required) {
    const reason = `${route.method} ${route.path} needs a JSON body (API ${apiVersion})`;
    return { problems: [problem('', reason, 'Send the body as application/json.')] };
  }
  const typing: Typing = { problems: [], ignored: new Set([...model.ignored, ...route.query]) };
  if (model.type.kind === 'struct') {
    const body = typeStruct(typing, model.type, value ?? {}, '', model.type.name);
    return typing.problems.length > 0 ? { problems: typing.problems } : { body: body ?? {} };
  }
  const typed = value === undefined || value === null ? [] : typeValue(typing, model.type, value, '', '');
  if (typing.problems.length > 0) return { problems: typing.problems };
  return { list: Array.isArray(typed) ? typed : [] };
}

interface Typing {
  readonly problems: RequestProblem[];
  /** Top-level keys that clients are known to send although no engine reads them. */
  readonly ignored: ReadonlySet<string>;
}

function problem(field: string, reason: string, remedy: string): RequestProblem {
  return { status: 400, field, reason, remedy };
}

function below(pointer: string, key: string | number): string {
  return `${pointer}/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`;
}

/** Reports a type error in the words of encoding/json. */
function mismatch(
  typing: Typing,
  value: JsonValue,
  goType: string,
  pointer: string,
  goField: string,
): undefined {
  const place = goField === '' ? 'Go value' : `Go struct field ${goField}`;
  const reason = `json: cannot unmarshal ${describe(value)} into ${place} of type ${goType}`;
  typing.problems.push(problem(pointer, reason, `Send a value of type ${goType}.`));
  return undefined;
}

function describe(value: JsonValue): string {
  if (Array.isArray(value)) return 'array';
  if (value === null) return 'null';
  if (typeof value === 'boolean') return 'bool';
  if (typeof value === 'number' || typeof value === 'bigint') return `number ${value}`;
  return typeof value;
}

/** The value as Go would hold it; `undefined` for null, and after a problem was noted. */
function typeValue(
  typing: Typing,
  type: FieldType,
  value: JsonValue,
  pointer: string,
  goField: string,
): JsonValue | undefined {
  if (value === null) return undefined;
  switch (type.kind) {
    case 'string':
      return typeof value === 'string' ? value : mismatch(typing, value, 'string', pointer, goField);
    case 'boolean':
      return typeof value === 'boolean' ? value : mismatch(typing, value, 'bool', pointer, goField);
    case 'integer':
      return isInteger(type.name, value) ? value : mismatch(typing, value, type.name, pointer, goField);
    case 'float':
      if (typeof value === 'number' || typeof value === 'bigint') return value;
      return mismatch(typing, value, 'float32', pointer, goField);
    case 'bytes':
      return isBase64(value) ? value : mismatch(typing, value, '[]uint8', pointer, goField);
    case 'string-list-or-string':
      return typeList(
        typing,
        { of: { kind: 'string' } },
        typeof value === 'string' ? [value] : value,
        pointer,
        goField,
      );
    case 'list':
      return typeList(typing, type, value, pointer, goField);
    case 'map':
      return typeMap(typing, type.of, value, pointer, goField);
    case 'struct':
      return typeStruct(typing, type, value, pointer, goField);
  }
}

const integerRanges: Readonly<Record<IntegerName, readonly [bigint, bigint]>> = {
  int: [-(2n ** 63n), 2n ** 63n - 1n],
  int64: [-(2n ** 63n), 2n ** 63n - 1n],
  uint: [0n, 2n ** 64n - 1n],
  uint16: [0n, 2n ** 16n - 1n],
  uint32: [0n, 2n ** 32n - 1n],
  uint64: [0n, 2n ** 64n - 1n],
};

function isInteger(name: IntegerName, value: JsonValue): boolean {
  const isWhole = typeof value === 'bigint' || (typeof value === 'number' && Number.isSafeInteger(value));
  const [lowest, highest] = integerRanges[name];
  return isWhole && value >= lowest && value <= highest;
}

function isBase64(value: JsonValue): boolean {
  return (
    typeof value === 'string' &&
    /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(value)
  );
}

function typeList(
  typing: Typing,
  type: { readonly of: FieldType; readonly length?: number },
  value: JsonValue,
  pointer: string,
  goField: string,
): JsonArray | undefined {
  if (!Array.isArray(value)) return mismatch(typing, value, `[]${goName(type.of)}`, pointer, goField);
  if (type.length !== undefined && value.length > type.length) {
    const reason = `the list has more than ${type.length} elements`;
    typing.problems.push(problem(pointer, reason, 'Shorten it.'));
    return undefined;
  }
  const list: JsonArray = [];
  for (const [index, element] of value.entries()) {
    const place = below(pointer, index);
    if (element === null) {
      typing.problems.push(problem(place, 'a list has null for an element', 'Leave the element out.'));
      continue;
    }
    const typed = typeValue(typing, type.of, element, place, goField);
    if (typed !== undefined) list.push(typed);
  }
  return list;
}

function goName(type: FieldType): string {
  switch (type.kind) {
    case 'string':
    case 'string-list-or-string':
      return 'string';
    case 'boolean':
      return 'bool';
    case 'integer':
      return type.name;
    case 'float':
      return 'float32';
    case 'bytes':
      return '[]uint8';
    case 'list':
      return `[]${goName(type.of)}`;
    case 'map':
      return `map[string]${goName(type.of)}`;
    case 'struct':
      return type.name;
  }
}

/** A null in a map is an entry all the same: an empty one. Lists and structs behind pointers stay null, as Go has nil. */
function typeMap(
  typing: Typing,
  of: FieldType,
  value: JsonValue,
  pointer: string,
  goField: string,
): JsonObject | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return mismatch(typing, value, `map[string]${goName(of)}`, pointer, goField);
  }
  const entries: [string, JsonValue][] = [];
  for (const [key, element] of Object.entries(value)) {
    const typed = element === null ? nilOf(of) : typeValue(typing, of, element, below(pointer, key), goField);
    if (typed !== undefined) entries.push([key, typed]);
  }
  return Object.fromEntries(entries);
}

function nilOf(type: FieldType): JsonValue {
  if (type.kind === 'string') return '';
  return type.kind === 'struct' && type.fields.size === 0 ? {} : null;
}

function typeStruct(
  typing: Typing,
  type: StructType,
  value: JsonValue,
  pointer: string,
  goField: string,
): JsonObject | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return mismatch(typing, value, type.name, pointer, goField);
  }
  const object: JsonObject = {};
  for (const [key, element] of Object.entries(value)) {
    const known = type.fields.get(key);
    if (known === undefined) {
      judgeUnknown(typing, type, key, element, pointer);
      continue;
    }
    const typed = typeValue(typing, known.type, element, below(pointer, key), `${type.name}.${key}`);
    if (typed === undefined) continue;
    if (known.retired === undefined) object[key] = typed;
    else if (!isEmpty(typed)) typing.problems.push(retiredProblem(known, below(pointer, key)));
  }
  return object;
}

function retiredProblem(field: Field, pointer: string): RequestProblem {
  return problem(pointer, `the field ${field.name} has lost its meaning: ${field.retired}`, 'Leave it out.');
}

function judgeUnknown(
  typing: Typing,
  type: StructType,
  key: string,
  value: JsonValue,
  pointer: string,
): void {
  const meant = type.folded.get(foldKey(key));
  if (meant !== undefined) {
    const reason = `the key ${JSON.stringify(key)} is a variant of ${JSON.stringify(meant)}, which Docker would read as the same`;
    typing.problems.push(problem(below(pointer, key), reason, `Write ${JSON.stringify(meant)}.`));
    return;
  }
  if (isEmpty(value) || (pointer === '' && typing.ignored.has(key))) return;
  const reason = `the field ${JSON.stringify(key)} is not known here, and has a value`;
  typing.problems.push(problem(below(pointer, key), reason, remedyForUnknown(type, key)));
}

/** Old API versions had HostConfig's fields at the top. Engines up to 26.1 still read them there, later ones don't. */
function remedyForUnknown(type: StructType, key: string): string {
  const nested = type.fields.get('HostConfig')?.type;
  if (nested?.kind === 'struct' && nested.fields.has(key)) return `Move it into HostConfig, or leave it out.`;
  return 'Leave it out.';
}

/** True for a value that says nothing: null, false, 0, and texts, lists and objects without content. */
function isEmpty(value: JsonValue): boolean {
  if (value === null || value === false || value === '' || value === 0) return true;
  if (Array.isArray(value)) return value.length === 0;
  return typeof value === 'object' && Object.values(value).every(isEmpty);
}
