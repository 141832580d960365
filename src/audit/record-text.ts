/**
 * A record as the members of a JSON object. Every request has one, so its text is put together here instead of by
 * walking an object that is made for it: a twentieth of the time, because hardly anything in it has to be looked
 * through for characters to escape.
 */
import type { AuditedCaller, AuditRecord } from './record.js';

type RequestRecord = Extract<AuditRecord, { event: 'request' }>;

/** The members of the JSON object that `JSON.stringify` makes of a record, without its braces, in a fixed order. */
export function recordText(record: AuditRecord): string {
  return record.event === 'request' ? requestText(record) : JSON.stringify(record).slice(1, -1);
}

function requestText(record: RequestRecord): string {
  const { caller, milliseconds, phases } = record;
  return (
    `"event":"request"${caller === undefined ? '' : callerText(caller)}${findingsText(record)}` +
    `,"milliseconds":${durationText(milliseconds)}` +
    (phases === undefined
      ? ''
      : `,"phases":{"read":${durationText(phases.read)},"judge":${durationText(phases.judge)},"carry":${durationText(phases.carry)}}`)
  );
}

/** The same object stands for a caller in all records of a connection. */
const callers = new WeakMap<AuditedCaller, string>();

function callerText(caller: AuditedCaller): string {
  let known = callers.get(caller);
  if (known === undefined) {
    known = `,"caller":${JSON.stringify(caller)}`;
    callers.set(caller, known);
  }
  return known;
}

/** The last record whose findings were made a text of. What is asked again and again is mostly found the same. */
let last: { readonly record: RequestRecord; readonly text: string } | undefined;

function findingsText(record: RequestRecord): string {
  if (last === undefined || !sameFindings(last.record, record))
    last = { record, text: newFindingsText(record) };
  return last.text;
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

function newFindingsText(record: RequestRecord): string {
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
    `,"generation":${record.generation},"status":${record.status}`
  );
}

function text(name: string, value: string | undefined): string {
  return value === undefined ? '' : `,"${name}":${JSON.stringify(value)}`;
}

function list(name: string, values: readonly string[] | undefined): string {
  if (values === undefined) return '';
  return values.length === 0 ? `,"${name}":[]` : `,"${name}":${JSON.stringify(values)}`;
}

/** What stands behind the whole number of so many thousandths. */
const thousandths = Array.from({ length: 1000 }, (_, count) => String(count / 1000).slice(1));
/** Durations from here on are written like all other numbers: a day and more, in milliseconds. */
const longDuration = 1e8;

/**
 * Milliseconds as JSON has them. Those in whole microseconds, as nearly all, don't go through V8's own search for the
 * shortest digits.
 */
function durationText(milliseconds: number): string {
  const microseconds = Math.round(milliseconds * 1000);
  if (microseconds / 1000 !== milliseconds || milliseconds >= longDuration) return String(milliseconds);
  return `${Math.floor(milliseconds)}${thousandths[microseconds % 1000]}`;
}
