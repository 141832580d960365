import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { JsonProblem, type JsonValue, parseGoJson, stringifyJson } from '../../src/engine/json.js';

const parse = (text: string): JsonValue => parseGoJson(Buffer.from(text));

function problemOf(bytes: string | Buffer): JsonProblem {
  try {
    parseGoJson(Buffer.from(bytes));
  } catch (error) {
    if (error instanceof JsonProblem) return error;
    throw error;
  }
  throw new Error(`${bytes.toString()} was accepted`);
}

describe('what is accepted', () => {
  test.each<[string, JsonValue]>([
    [' \t\r\n{} \n', {}],
    ['null', null],
    ['true', true],
    ['[1,[2],[]]', [1, [2], []]],
    ['{"a":{"b":[null,false,"x"]}}', { a: { b: [null, false, 'x'] } }],
    ['9007199254740991', 9007199254740991],
    ['9007199254740993', 9007199254740993n],
    ['-9223372036854775808', -9223372036854775808n],
    ['18446744073709551615', 18446744073709551615n],
    ['-0', 0],
    ['0.5', 0.5],
    ['"\\u0050rivileged \\ud83d\\ude00 \\/\\b\\f\\n\\r\\t\\"\\\\"', 'Privileged 😀 /\b\f\n\r\t"\\'],
    ['{"Labels":{"a":"1","A":"2"}}', { Labels: { a: '1', A: '2' } }],
  ])('%s', (text, value) => {
    expect(parse(text)).toEqual(value);
  });

  test('a key named __proto__ is a key like any other', () => {
    const value = parse('{"__proto__":{"Privileged":true}}');
    expect(Object.keys(value as object)).toEqual(['__proto__']);
    expect((value as { Privileged?: unknown }).Privileged).toBeUndefined();
    expect(stringifyJson(value)).toBe('{"__proto__":{"Privileged":true}}');
  });
});

describe('what is refused', () => {
  test.each<[string, string, string | Buffer, string, RegExp]>([
    [
      'json-005',
      'a duplicate object',
      '{"HostConfig":{"Privileged":true},"HostConfig":{}}',
      '/HostConfig',
      /twice/,
    ],
    [
      'json-007',
      'a duplicate array',
      '{"H":{"Mounts":[{"Type":"bind"}],"Mounts":[{}]}}',
      '/H/Mounts',
      /twice/,
    ],
    ['json-010', 'a second value behind the first', '{"a":1}}{"a":2}', '', /more behind/],
    ['json-016', 'a NUL', '{"H":{"Binds":["/a\\u0000/../../:/h"]}}', '/H/Binds/0', /NUL/],
    [
      'json-018',
      'an integer with an exponent',
      '{"PidsLimit":1e18}',
      '/PidsLimit',
      /without fraction and exponent/,
    ],
    ['json-020', 'deep nesting', `${'['.repeat(200)}${']'.repeat(200)}`, '/0'.repeat(64), /nested deeper/],
    ['duplicate by escape', 'the same key spelt with an escape', '{"a":1,"\\u0061":2}', '/a', /twice/],
    ['1.0', 'an integer with a fraction', '[1.0]', '/0', /without fraction/],
    ['1e999', 'a number beyond a double', '1e999', '', /without fraction/],
    ['digits', 'a very long number', '1'.repeat(100), '', /too long/],
    ['trailing comma', 'a trailing comma', '[1,]', '/1', /well-formed/],
    ['leading zero', 'a leading zero', '01', '', /more behind/],
    ['single quotes', 'single quotes', "{'a':1}", '', /well-formed/],
    ['comment', 'a comment', '{}/*x*/', '', /more behind/],
    ['unquoted', 'a key without quotes', '{a:1}', '', /well-formed/],
    ['open', 'an open object', '{"a":1', '', /well-formed/],
    ['open string', 'an open string', '"a', '', /no end/],
    ['newline', 'a raw newline in a string', '"a\nb"', '', /control character/],
    ['escape', 'an unknown escape', '"\\x41"', '', /unknown escape/],
    ['surrogate', 'half a surrogate pair', '"\\ud800"', '', /surrogate/],
    ['bom', 'a byte order mark', '\ufeff{}', '', /byte order mark/],
    ['utf8', 'invalid UTF-8', Buffer.from([0x22, 0xff, 0x22]), '', /UTF-8/],
    ['utf8 surrogate', 'an encoded surrogate', Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]), '', /UTF-8/],
    ['empty', 'nothing', '', '', /empty/],
    ['NaN', 'NaN', 'NaN', '', /well-formed/],
    ['pointer', 'a key with a slash and a tilde', '{"a/~":{"b":tru}}', '/a~1~0/b', /well-formed/],
  ])('%s: %s', (_id, _title, bytes, pointer, message) => {
    const problem = problemOf(bytes);
    expect(problem.message).toMatch(message);
    expect(problem.pointer).toBe(pointer);
  });
});

const scalar = fc.oneof(
  fc.constant(null),
  fc.boolean(),
  fc.maxSafeInteger().map((value) => value + 0),
  fc.bigInt({ min: 2n ** 53n, max: 2n ** 64n }),
  fc.bigInt({ min: -(2n ** 63n), max: -(2n ** 53n) }),
  fc.double({ noNaN: true, noDefaultInfinity: true }).filter((value) => !Number.isInteger(value)),
  fc.string({ unit: 'binary' }).filter((value) => !value.includes('\0') && !/\p{Surrogate}/u.test(value)),
);

const value = fc.letrec<{ value: JsonValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 6 },
    scalar,
    fc.array(tie('value'), { maxLength: 5 }),
    fc.dictionary(
      fc.string().filter((key) => !key.includes('\0')),
      tie('value'),
      { maxKeys: 5 },
    ),
  ),
})).value;

describe('reading and writing', () => {
  test('what is written is read as the same value', () => {
    fc.assert(
      fc.property(value, (original) => {
        const text = stringifyJson(original);
        expect(stringifyJson(parse(text))).toBe(text);
      }),
      { numRuns: 2000 },
    );
  });

  test('values without big integers agree with JSON.parse', () => {
    fc.assert(
      fc.property(value, fc.constantFrom(undefined, 2, '\t'), (original, indent) => {
        fc.pre(!/\d{16}/.test(stringifyJson(original)));
        const text = JSON.stringify(JSON.parse(stringifyJson(original)), undefined, indent);
        expect(parse(text)).toEqual(JSON.parse(text));
      }),
      { numRuns: 1000 },
    );
  });

  test('bytes are either refused or read as JSON.parse reads them', () => {
    const fragment = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"a"',
      '"b"',
      '"\\u0061"',
      '1',
      '-',
      'e1',
      '.5',
      'null',
      ' ',
    );
    fc.assert(
      fc.property(fc.array(fragment, { maxLength: 12 }), (fragments) => {
        const text = fragments.join('');
        let ours: JsonValue;
        try {
          ours = parse(text);
        } catch (error) {
          expect(error).toBeInstanceOf(JsonProblem);
          return;
        }
        expect(ours).toEqual(JSON.parse(text, (_key, part) => (Object.is(part, -0) ? 0 : part)));
      }),
      { numRuns: 20_000 },
    );
  });

  test('what JSON can’t hold is never written', () => {
    expect(() => stringifyJson(Number.NaN)).toThrow(TypeError);
    expect(() => stringifyJson([2 ** 60])).toThrow(TypeError);
    expect(() => stringifyJson({ a: undefined } as unknown as JsonValue)).toThrow(TypeError);
    expect(stringifyJson(2n ** 60n)).toBe('1152921504606846976');
  });
});
