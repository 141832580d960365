/**
 * A record as the members of a JSON object. Every request has one, so its bytes are put together here instead of by
 * walking an object that is made for it: hardly anything in it has to be looked through for characters to escape, and
 * what was the same in the record before is copied as it is.
 */
import type { Bytes } from './bytes.js';
import type { AuditedCaller, AuditRecord } from './record.js';

type RequestRecord = Extract<AuditRecord, { event: 'request' }>;

const event = '"event":"request"';
const nobody = Buffer.from(event);
const phasesBegin = Buffer.from(',"phases":{"read":');
const judge = Buffer.from(',"judge":');
const carry = Buffer.from(',"carry":');
const phasesEnd = Buffer.from('}');
/** More than these names and four numbers have: JavaScript writes no number with more than 24 characters. */
const numbersLength = 160;

/** Adds the members of the JSON object that `JSON.stringify` makes of a record, without its braces, in a fixed order. */
export function addRecord(to: Bytes, record: AuditRecord): void {
  if (record.event === 'request') addRequest(to, record);
  else {
    const members = Buffer.from(JSON.stringify(record).slice(1, -1));
    to.reserve(members.length);
    to.add(members);
  }
}

function addRequest(to: Bytes, record: RequestRecord): void {
  const { caller, milliseconds, phases } = record;
  const from = caller === undefined ? nobody : callerBytes(caller);
  const findings = findingsBytes(record);
  to.reserve(from.length + findings.length + numbersLength);
  to.add(from);
  to.add(findings);
  to.thousandths(milliseconds);
  if (phases === undefined) return;
  to.add(phasesBegin);
  to.thousandths(phases.read);
  to.add(judge);
  to.thousandths(phases.judge);
  to.add(carry);
  to.thousandths(phases.carry);
  to.add(phasesEnd);
}

/** The same object stands for a caller in all records of a connection. */
const callers = new WeakMap<AuditedCaller, Buffer>();

function callerBytes(caller: AuditedCaller): Buffer {
  let known = callers.get(caller);
  if (known === undefined) {
    known = Buffer.from(`${event},"caller":${JSON.stringify(caller)}`);
    callers.set(caller, known);
  }
  return known;
}

/** The last record whose findings were made bytes of. What is asked again and again is mostly found the same. */
let last: { readonly record: RequestRecord; readonly bytes: Buffer } | undefined;

function findingsBytes(record: RequestRecord): Buffer {
  if (last === undefined || !sameFindings(last.record, record))
    last = { record, bytes: Buffer.from(findingsText(record)) };
  return last.bytes;
}

function sameFindings(one: RequestRecord, other: RequestRecord): boolean {
  // Lists are the same one where nothing was found, and hardly ever alike otherwise.
  return (
    one.path === other.path &&
    one.route === other.route &&
    one.method === other.method &&
    one.verdict === other.verdict &&
    one.status === other.status &&
    one.generation === other.generation &&
    one.objects === other.objects &&
    one.image === other.image &&
    one.rules === other.rules &&
    one.warnings === other.warnings &&
    one.rewritten === other.rewritten &&
    one.reason === other.reason &&
    one.error === other.error
  );
}

function findingsText(record: RequestRecord): string {
  // Numbers are finite: `String` writes them as JSON does. Verdicts are words of ours.
  return (
    `,"method":${JSON.stringify(record.method)}` +
    text('route', record.route) +
    text('path', record.path) +
    list('objects', record.objects) +
    text('image', record.image) +
    `,"verdict":"${record.verdict}"` +
    list('rules', record.rules) +
    list('warnings', record.warnings) +
    list('rewritten', record.rewritten) +
    text('reason', record.reason) +
    text('error', record.error) +
    `,"generation":${record.generation},"status":${record.status},"milliseconds":`
  );
}

function text(name: string, value: string | undefined): string {
  return value === undefined ? '' : `,"${name}":${JSON.stringify(value)}`;
}

function list(name: string, values: readonly string[] | undefined): string {
  if (values === undefined) return '';
  return values.length === 0 ? `,"${name}":[]` : `,"${name}":${JSON.stringify(values)}`;
}
