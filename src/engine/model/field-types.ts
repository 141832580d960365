/**
 * The vocabulary in which request bodies are described: Go's types as encoding/json decodes them. Descriptions are
 * data, so that rules, documentation and tests can walk through every field. Holds no policy and no parsing.
 */

/** Go's integer types by their range. `int` and `uint` are 64 bits wide wherever Docker runs with user namespaces. */
export type IntegerName = 'int' | 'int64' | 'uint' | 'uint16' | 'uint32' | 'uint64';

export type FieldType =
  | { readonly kind: 'string' }
  | { readonly kind: 'boolean' }
  | { readonly kind: 'integer'; readonly name: IntegerName }
  | { readonly kind: 'float' }
  /** `[]byte`: base64 in JSON. */
  | { readonly kind: 'bytes' }
  /** Docker's StrSlice: a list of strings, or one string that stands for a list of one. */
  | { readonly kind: 'string-list-or-string' }
  /** A slice, or with `length` an array of at most that many elements. */
  | { readonly kind: 'list'; readonly of: FieldType; readonly length?: number }
  /** A map with free keys. They are told apart by case, unlike a struct's. */
  | { readonly kind: 'map'; readonly of: FieldType }
  | StructType;

export interface Field {
  readonly name: string;
  readonly type: FieldType;
  /** API version that introduced the field, where that is above 1.24. */
  readonly since?: string;
  /** The field had a meaning once, and has none in any supported engine, or one that depends on the engine. */
  readonly retired?: string;
}

export interface StructType {
  readonly kind: 'struct';
  /** The Go type's name, as its error messages have it. */
  readonly name: string;
  readonly fields: ReadonlyMap<string, Field>;
  /** The field's right spelling by its folded key (`foldKey`). */
  readonly folded: ReadonlyMap<string, string>;
}

export const string: FieldType = { kind: 'string' };
export const boolean: FieldType = { kind: 'boolean' };
export const float: FieldType = { kind: 'float' };
export const bytes: FieldType = { kind: 'bytes' };
export const stringListOrString: FieldType = { kind: 'string-list-or-string' };

export function integer(name: IntegerName): FieldType {
  return { kind: 'integer', name };
}

export const int64 = integer('int64');
/** `time.Duration`: nanoseconds. */
export const duration = integer('int64');

export function list(of: FieldType, length?: number): FieldType {
  return length === undefined ? { kind: 'list', of } : { kind: 'list', of, length };
}

export function map(of: FieldType): FieldType {
  return { kind: 'map', of };
}

export const strings = list(string);
export const stringMap = map(string);

/** A field with more to say than its type. */
export function field(type: FieldType, facts: { since?: string; retired?: string }): Omit<Field, 'name'> {
  return { type, ...facts };
}

/** Describes a struct; `fields` in the order of the Go source, embedded structs spread in. */
export function struct(
  name: string,
  fields: Readonly<Record<string, FieldType | Omit<Field, 'name'>>>,
): StructType {
  const described = new Map<string, Field>();
  const folded = new Map<string, string>();
  for (const [key, value] of Object.entries(fields)) {
    described.set(key, 'kind' in value ? { name: key, type: value } : { name: key, ...value });
    folded.set(foldKey(key), key);
  }
  return { kind: 'struct', name, fields: described, folded };
}

/** The fields of a struct, to be embedded in another. */
export function embed(type: StructType): Readonly<Record<string, Omit<Field, 'name'>>> {
  return Object.fromEntries([...type.fields].map(([name, { name: _name, ...rest }]) => [name, rest]));
}

/** A struct without fields: a set's value, or a choice that says all by being there. */
export const emptyStruct = struct('struct {}', {});

/**
 * Folds a key as encoding/json does to find a struct's field: without regard to case, and with the two letters
 * outside of ASCII whose simple folding is inside (U+017F ſ, U+212A K). Docker's field names are ASCII.
 */
export function foldKey(key: string): string {
  return key.replaceAll('\u017f', 's').replaceAll('\u212a', 'k').toLowerCase();
}
