import fc from 'fast-check';
import { expect, test } from 'vitest';
import { typeBody } from '../../src/engine/body.js';
import { JsonProblem, parseGoJson, stringifyJson } from '../../src/engine/json.js';
import type { FieldType } from '../../src/engine/model/field-types.js';
import { bodyModels } from '../../src/engine/model/index.js';
import { routes } from '../../src/engine/routes.js';
import { canonical, type Document, decode, documentOf, write } from './go-decoder.js';

/** Right values for a type, now and then null or of another type, in objects with keys spelt in many ways. */
function documents(type: FieldType, depth: number): fc.Arbitrary<Document> {
  const right = ((): fc.Arbitrary<Document> => {
    switch (type.kind) {
      case 'string':
        return fc.constantFrom('', 'host', '/', 'x').map((value) => ({ kind: 'value', value }));
      case 'bytes':
        return fc.constantFrom('', 'AAAA', 'AA==').map((value) => ({ kind: 'value', value }));
      case 'boolean':
        return fc.boolean().map((value) => ({ kind: 'value', value }));
      case 'integer':
        return fc.constantFrom(0, 1, 255, -1).map((value) => ({ kind: 'value', value }));
      case 'float':
        return fc.constantFrom(0, 1, 0.5).map((value) => ({ kind: 'value', value }));
      case 'string-list-or-string':
        return fc.oneof(
          fc.constant<Document>({ kind: 'value', value: 'one' }),
          fc
            .array(documents({ kind: 'string' }, depth), { maxLength: 2 })
            .map((elements): Document => ({ kind: 'list', elements })),
        );
      case 'list':
        return fc
          .array(documents(type.of, depth), { maxLength: 2 })
          .map((elements) => ({ kind: 'list', elements }));
      case 'map':
        return entriesOf(fc.constantFrom('a', 'A', '80/tcp', '__proto__'), () => type.of, depth);
      case 'struct': {
        const names = [...type.fields.keys()];
        const spelt = fc.constantFrom(...(names.length === 0 ? ['none'] : names)).chain(spellings);
        return entriesOf(
          fc.oneof({ weight: 9, arbitrary: spelt }, fc.constantFrom('Unknown', 'constructor')),
          (key) => type.fields.get(key)?.type,
          depth,
        );
      }
    }
  })();
  const odd = fc.constantFrom<Document>(
    { kind: 'value', value: null },
    { kind: 'value', value: '' },
    { kind: 'value', value: false },
    { kind: 'value', value: 7 },
    { kind: 'list', elements: [] },
    { kind: 'object', entries: [] },
  );
  return fc.oneof({ weight: 24, arbitrary: right }, { weight: 1, arbitrary: odd });
}

function spellings(name: string): fc.Arbitrary<string> {
  return fc.oneof(
    { weight: 40, arbitrary: fc.constant(name) },
    fc.constantFrom(
      name.toLowerCase(),
      name.toUpperCase(),
      name.replace('s', 'ſ'),
      name.replace('k', '\u212a'),
    ),
  );
}

function entriesOf(
  keys: fc.Arbitrary<string>,
  typeOf: (key: string) => FieldType | undefined,
  depth: number,
): fc.Arbitrary<Document> {
  if (depth === 0) return fc.constant({ kind: 'object', entries: [] });
  const entry = keys.chain((key) =>
    documents(typeOf(key) ?? { kind: 'boolean' }, depth - 1).map((value) => [key, value] as const),
  );
  return fc.array(entry, { maxLength: 4 }).map((entries) => ({ kind: 'object', entries }));
}

const runs = Number(process.env['COFFERDAM_FUZZ_RUNS'] ?? 20_000);

const typedRoutes = routes.filter((route) => route.body === 'json');

test('what Go reads from the client’s text is what it reads from ours', { timeout: 20 * 60_000 }, () => {
  let accepted = 0;
  const request = fc
    .constantFrom(...typedRoutes.map((route) => route.name))
    .chain((name) => documents(modelOf(name), 6).map((document) => ({ name, document })));
  fc.assert(
    fc.property(request, ({ name, document }) => {
      const sent = whatIsSent(name, write(document));
      if (sent === undefined) return;
      accepted += 1;
      const type = modelOf(name);
      // Decoding must not fail either: Go would have refused what was accepted here.
      const theirs = canonical(decode(type, document)) ?? (type.kind === 'list' ? [] : {});
      expect(canonical(decode(type, documentOf(JSON.parse(sent))))).toEqual(theirs);
    }),
    { numRuns: runs },
  );
  expect(accepted).toBeGreaterThan(runs / 20);
});

function modelOf(name: string): FieldType {
  const model = bodyModels.get(name);
  if (model === undefined) throw new Error(name);
  return model.type;
}

/** The text that the engine would get, or nothing when the request is refused. */
function whatIsSent(name: string, text: string): string | undefined {
  const route = typedRoutes.find((row) => row.name === name);
  if (route === undefined) throw new Error(name);
  try {
    const ours = typeBody(route, parseGoJson(Buffer.from(text)), '1.47');
    if ('problems' in ours) return undefined;
    return stringifyJson('list' in ours ? ours.list : ours.body);
  } catch (error) {
    if (error instanceof JsonProblem) return undefined;
    throw error;
  }
}
