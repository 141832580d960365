/** Writes BuildKit's messages for tests, field by field. */
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

export type FieldValue = string | number | Uint8Array;

/** A message of these fields, in order. */
export function message(...fields: readonly (readonly [number, FieldValue])[]): Uint8Array {
  const writer = new BinaryWriter();
  for (const [number, value] of fields) {
    if (typeof value === 'number') writer.tag(number, WireType.Varint).int64(value);
    else if (typeof value === 'string') writer.tag(number, WireType.LengthDelimited).string(value);
    else writer.tag(number, WireType.LengthDelimited).bytes(value);
  }
  return writer.finish();
}

/** The entries of a `map<string, string>` in this field. */
export function entries(
  number: number,
  map: Readonly<Record<string, string>>,
): readonly (readonly [number, Uint8Array])[] {
  return Object.entries(map).map(([key, value]) => [number, message([1, key], [2, value])] as const);
}

/** A `pb.Definition` of these operations. */
export function definition(...operations: readonly Uint8Array[]): Uint8Array {
  return message(...operations.map((operation) => [1, operation] as const));
}

/** An operation that runs something: its ExecOp in field 2. */
export function execOperation(...fields: readonly (readonly [number, FieldValue])[]): Uint8Array {
  return message([2, message(...fields)]);
}

/** An operation that fetches something: its SourceOp in field 3. */
export function sourceOperation(
  identifier: string,
  attributes: Readonly<Record<string, string>> = {},
): Uint8Array {
  return message([3, message([1, identifier], ...entries(2, attributes))]);
}
