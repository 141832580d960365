/**
 * Reads protobuf messages field by field, without a schema of the whole: what isn't asked for is kept as it came, byte
 * for byte, because a message that passes is passed on as received. It must never read a field otherwise than Go's
 * protobuf does: what the two could read differently (a known field with another wire type, groups, a scalar given
 * twice, text that isn't UTF-8) is a WireProblem, and the message is refused.
 */
import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

/** A message that can't be read for sure. */
export class WireProblem extends Error {
  readonly code = 'COFFERDAM_GRPC_MESSAGE_INVALID';
}

interface Field {
  readonly number: number;
  readonly wireType: WireType;
  /** Payload of a length-delimited field. */
  readonly bytes?: Uint8Array;
  readonly varint?: bigint;
}

/** BuildKit nests definitions in build operations; nothing real comes near this depth. */
const depthMax = 32;
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function readField(reader: BinaryReader): Field {
  const [number, wireType] = reader.tag();
  switch (wireType) {
    case WireType.Varint:
      return { number, wireType, varint: BigInt(reader.uint64()) };
    case WireType.LengthDelimited:
      return { number, wireType, bytes: reader.bytes() };
    case WireType.Bit32:
    case WireType.Bit64:
      reader.skip(wireType);
      return { number, wireType };
    default:
      throw new WireProblem(`field ${number} has the wire type ${wireType}`);
  }
}

/** One message, its fields in the order in which they came. */
export class WireMessage {
  readonly #fields: readonly Field[];
  readonly #depth: number;

  private constructor(fields: readonly Field[], depth: number) {
    this.#fields = fields;
    this.#depth = depth;
  }

  /** @throws WireProblem */
  static parse(bytes: Uint8Array, depth = 0): WireMessage {
    if (depth > depthMax) throw new WireProblem('the message is nested too deeply');
    const fields: Field[] = [];
    try {
      const reader = new BinaryReader(bytes);
      while (reader.pos < reader.len) fields.push(readField(reader));
      if (reader.pos !== reader.len) throw new WireProblem('the message ends inside a field');
    } catch (error) {
      if (error instanceof WireProblem) throw error;
      throw new WireProblem(error instanceof Error ? error.message : String(error));
    }
    return new WireMessage(fields, depth);
  }

  /** Numbers of all fields that are present. */
  numbers(): ReadonlySet<number> {
    return new Set(this.#fields.map(({ number }) => number));
  }

  /**
   * A field that is new may ask for anything.
   * @param known numbers of the fields that are read, or can do no harm
   * @param type the message's name in BuildKit's own files, as `pb.ExecOp`
   * @throws WireProblem when there is another one
   */
  requireOnly(known: ReadonlySet<number>, type: string): void {
    for (const number of this.numbers())
      if (!known.has(number)) throw new WireProblem(`field ${number} of ${type} is not known here`);
  }

  #payloads(number: number): readonly Uint8Array[] {
    return this.#fields
      .filter((field) => field.number === number)
      .map(({ bytes }) => {
        if (bytes === undefined) throw new WireProblem(`field ${number} is not length-delimited`);
        return bytes;
      });
  }

  /** Every value of a repeated bytes field. */
  bytes(number: number): readonly Uint8Array[] {
    return this.#payloads(number);
  }

  /** Every value of a repeated string field. */
  texts(number: number): readonly string[] {
    return this.#payloads(number).map((payload) => {
      try {
        return utf8.decode(payload);
      } catch {
        throw new WireProblem(`field ${number} is not UTF-8`);
      }
    });
  }

  /** A string field; empty when absent, as in proto3. */
  text(number: number): string {
    const texts = this.texts(number);
    if (texts.length > 1) throw new WireProblem(`field ${number} is given ${texts.length} times`);
    return texts[0] ?? '';
  }

  /**
   * An enum, bool or int32 field as Go stores it: cut to 32 bits; 0 when absent.
   */
  number(number: number): number {
    const fields = this.#fields.filter((field) => field.number === number);
    if (fields.length > 1) throw new WireProblem(`field ${number} is given ${fields.length} times`);
    const [field] = fields;
    if (field === undefined) return 0;
    if (field.varint === undefined) throw new WireProblem(`field ${number} is not a varint`);
    return Number(BigInt.asIntN(32, field.varint));
  }

  /** Every value of a repeated message field. */
  messages(number: number): readonly WireMessage[] {
    return this.#payloads(number).map((payload) => WireMessage.parse(payload, this.#depth + 1));
  }

  /** A message field; proto3 merges one that is given several times, which is what joining their bytes does. */
  message(number: number): WireMessage | undefined {
    const payloads = this.#payloads(number);
    return payloads.length === 0 ? undefined : WireMessage.parse(Buffer.concat(payloads), this.#depth + 1);
  }

  /** The entries of a `map<string, string>`. A key that comes twice is listed twice. */
  textEntries(number: number): readonly (readonly [string, string])[] {
    return this.messages(number).map((entry) => [entry.text(1), entry.text(2)] as const);
  }

  /** The entries of a `map<string, Message>`. */
  messageEntries(number: number): readonly (readonly [string, WireMessage])[] {
    return this.messages(number).map((entry) => {
      return [entry.text(1), entry.message(2) ?? WireMessage.parse(new Uint8Array(), this.#depth)] as const;
    });
  }
}

/** `message` with one more length-delimited field at its end. */
export function appendField(message: Uint8Array, number: number, payload: Uint8Array): Uint8Array {
  const field = new BinaryWriter().tag(number, WireType.LengthDelimited).bytes(payload).finish();
  return Buffer.concat([message, field]);
}
