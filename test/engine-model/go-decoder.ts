/**
 * How Go's encoding/json decodes a document into a struct, leniency and all: keys fold, later duplicates win or merge
 * into what is there, `null` leaves values alone or empties them, unknown keys vanish. Written for tests, from the
 * package's documentation and the behaviour that was measured with it.
 */
import { type FieldType, foldKey, type StructType } from '../../src/engine/model/field-types.js';

/** A document with its duplicates and their order, which a plain object would lose. */
export type Document =
  | { readonly kind: 'value'; readonly value: null | boolean | number | string }
  | { readonly kind: 'list'; readonly elements: readonly Document[] }
  | { readonly kind: 'object'; readonly entries: readonly (readonly [string, Document])[] };

export function write(document: Document): string {
  switch (document.kind) {
    case 'value':
      return JSON.stringify(document.value);
    case 'list':
      return `[${document.elements.map(write).join(',')}]`;
    case 'object':
      return `{${document.entries.map(([key, value]) => `${JSON.stringify(key)}:${write(value)}`).join(',')}}`;
  }
}

export function documentOf(value: unknown): Document {
  if (Array.isArray(value)) return { kind: 'list', elements: value.map(documentOf) };
  if (typeof value === 'object' && value !== null) {
    return {
      kind: 'object',
      entries: Object.entries(value).map(([key, part]) => [key, documentOf(part)] as const),
    };
  }
  if (
    value === null ||
    typeof value === 'boolean' ||
    typeof value === 'number' ||
    typeof value === 'string'
  ) {
    return { kind: 'value', value };
  }
  throw new TypeError(`no document for ${String(value)}`);
}

/** Thrown where Go returns an UnmarshalTypeError. */
export class DecodeError extends Error {}

type Decoded = null | boolean | number | string | Decoded[] | Map<string, Decoded>;

/** Decodes into what is already there (`before`), as Go does for duplicate keys. */
export function decode(type: FieldType, document: Document, before: Decoded = zero(type)): Decoded {
  if (isNull(document)) return holdsNil(type) ? null : before;
  switch (type.kind) {
    case 'string':
    case 'bytes':
      return scalar(document, 'string');
    case 'boolean':
      return scalar(document, 'boolean');
    case 'integer':
    case 'float':
      return scalar(document, 'number');
    case 'string-list-or-string':
      if (document.kind === 'value') return [scalar(document, 'string')];
      return decodeList({ kind: 'string' }, document, before);
    case 'list':
      return decodeList(type.of, document, before);
    case 'map':
      return decodeMap(type.of, document, before);
    case 'struct':
      return decodeStruct(type, document, before);
  }
}

function isNull(document: Document): boolean {
  return document.kind === 'value' && document.value === null;
}

/** Structs stand behind pointers in most places; where they don't, an empty one and none are alike. */
function holdsNil(type: FieldType): boolean {
  return ['list', 'map', 'string-list-or-string', 'struct'].includes(type.kind);
}

/** What a map's entry becomes when its value is null. */
function entryWithoutValue(type: FieldType): Decoded {
  if (type.kind === 'string') return '';
  return type.kind === 'struct' && type.fields.size === 0 ? new Map() : 'nil';
}

function zero(type: FieldType): Decoded {
  return type.kind === 'struct' ? new Map() : null;
}

function scalar(document: Document, type: 'string' | 'boolean' | 'number'): Decoded {
  if (document.kind !== 'value' || typeof document.value !== type) throw new DecodeError(type);
  return document.value;
}

/** Elements of an earlier, longer list are still in the slice's memory and are decoded into (golang/go#21092). */
function decodeList(of: FieldType, document: Document, before: Decoded): Decoded {
  if (document.kind !== 'list') throw new DecodeError('list');
  const old = Array.isArray(before) ? before : [];
  return document.elements.map((element, index) => decode(of, element, old[index] ?? zero(of)));
}

function decodeMap(of: FieldType, document: Document, before: Decoded): Decoded {
  if (document.kind !== 'object') throw new DecodeError('map');
  const map = new Map(before instanceof Map ? before : []);
  for (const [key, value] of document.entries)
    map.set(key, isNull(value) ? entryWithoutValue(of) : decode(of, value));
  return map;
}

function decodeStruct(type: StructType, document: Document, before: Decoded): Decoded {
  if (document.kind !== 'object') throw new DecodeError('struct');
  const struct = new Map(before instanceof Map ? before : []);
  for (const [key, value] of document.entries) {
    const name = type.fields.has(key) ? key : type.folded.get(foldKey(key));
    const field = name === undefined ? undefined : type.fields.get(name);
    // A retired field has no meaning; with a value it is refused before anybody decodes it.
    if (name === undefined || field === undefined || field.retired !== undefined) continue;
    struct.set(name, decode(field.type, value, struct.get(name)));
  }
  return struct;
}

/** Two decoded values are alike when no Go program could tell them apart by value: unset fields are zero. */
export function canonical(value: Decoded): unknown {
  if (value instanceof Map) {
    const entries = [...value].map(([key, part]) => [key, canonical(part)] as const);
    return Object.fromEntries(
      entries.filter(([, part]) => part !== null).sort(([a], [b]) => (a < b ? -1 : 1)),
    );
  }
  return Array.isArray(value) ? value.map(canonical) : value;
}
