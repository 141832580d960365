import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Bytes } from '../../src/audit/bytes.js';
import type { AuditRecord } from '../../src/audit/record.js';
import { verdicts } from '../../src/audit/record.js';
import { addRecord } from '../../src/audit/record-bytes.js';

/** Any text, lone surrogates and separators of lines too. */
const text = fc.string({ unit: 'binary' });
const texts = fc.array(text, { maxLength: 3 });
const duration = fc.oneof(
  fc.nat({ max: 2 ** 31 - 1 }).map((microseconds) => microseconds / 1000),
  fc.double({ noNaN: true, noDefaultInfinity: true, min: 0 }),
);
const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });

const request: fc.Arbitrary<AuditRecord> = fc.record({
  event: fc.constant('request' as const),
  caller: maybe(
    fc.record({
      uid: fc.nat(),
      gid: fc.nat(),
      pid: fc.nat(),
      groups: fc.array(fc.nat()),
      command: maybe(text),
    }),
  ),
  method: text,
  route: maybe(text),
  path: maybe(text),
  objects: maybe(texts),
  verdict: fc.constantFrom(...verdicts),
  rules: maybe(texts),
  warnings: maybe(texts),
  reason: maybe(text),
  rewritten: maybe(texts),
  image: maybe(text),
  generation: fc.nat(),
  status: fc.nat(),
  error: maybe(text),
  milliseconds: duration,
  phases: maybe(fc.record({ read: duration, judge: duration, carry: duration })),
});

/** A record with everything, and the same with any one thing else. */
const full: Required<Extract<AuditRecord, { event: 'request' }>> = {
  ...{
    event: 'request',
    caller: { uid: 1, gid: 2, pid: 3, groups: [] },
    method: 'GET',
    route: 'system.ping',
  },
  ...{ path: '/_ping', objects: ['a'], verdict: 'allowed', rules: ['b'], warnings: ['c'], reason: 'd' },
  ...{ rewritten: ['e'], image: 'f', generation: 1, status: 200, error: 'g', milliseconds: 2 },
  phases: { read: 1, judge: 2, carry: 3 },
};
const other: Omit<typeof full, 'event'> = {
  ...{ caller: { uid: 4, gid: 5, pid: 6, groups: [] }, method: 'HEAD', route: 'system.info', path: '/info' },
  ...{ objects: ['h'], verdict: 'denied', rules: ['i'], warnings: ['j'], reason: 'k', rewritten: ['l'] },
  ...{ image: 'm', generation: 2, status: 403, error: 'n', milliseconds: 3 },
  phases: { read: 4, judge: 5, carry: 6 },
};

const event: fc.Arbitrary<AuditRecord> = fc.record({
  event: fc.constantFrom('daemon.started' as const, 'egress.refused' as const),
  generation: fc.nat(),
  objects: texts,
  details: texts,
});

const line = new Bytes(16);

function textOf(record: AuditRecord): string {
  line.cut(0);
  addRecord(line, record);
  return line.view(0).toString();
}

describe('the text of a record', () => {
  it('says what JSON.stringify says, whatever is in it, in one line', () => {
    fc.assert(
      fc.property(fc.oneof(request, event), (record) => {
        const written = `{${textOf(record)}}`;
        expect(written).not.toMatch(/[\n\r]/);
        expect(JSON.parse(written)).toEqual(JSON.parse(JSON.stringify(record)));
      }),
      { numRuns: 2000 },
    );
  });

  it.each(Object.entries(other))('is another one when nothing but its %s is', (name, value) => {
    for (const record of [full, { ...full, [name]: value }]) {
      expect(JSON.parse(`{${textOf(record)}}`)).toEqual(record);
    }
  });
});
