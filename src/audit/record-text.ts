/**
 * A record as the members of a JSON object. Every request has one, so its text is put together here instead of by
 * walking an object that is made for it: a twentieth of the time, because hardly anything in it has to be looked
 * through for characters to escape.
 */
import type { AuditedCaller, AuditRecord } from './record.js';

type RequestRecord = Extract<AuditRecord, { event: 'request' }>;

/** The same object stands for a caller in all records of a connection. */
const callers = new WeakMap<AuditedCaller, string>();

/** The members of the JSON object that `JSON.stringify` makes of a record, without its braces, in a fixed order. */
export function recordText(record: AuditRecord): string {
  return record.event === 'request' ? requestText(record) : JSON.stringify(record).slice(1, -1);
}

function requestText(record: RequestRecord): string {
  const { caller, verdict, generation, status, milliseconds, phases } = record;
  // Numbers are finite: `String` writes them as JSON does. Verdicts are words of ours.
  return (
    `"event":"request"${caller === undefined ? '' : callerText(caller)},"method":${JSON.stringify(record.method)}` +
    text('route', record.route) +
    text('path', record.path) +
    list('objects', record.objects) +
    text('image', record.image) +
    `,"verdict":"${verdict}"` +
    list('rules', record.rules) +
    list('warnings', record.warnings) +
    list('rewritten', record.rewritten) +
    text('reason', record.reason) +
    text('error', record.error) +
    `,"generation":${generation},"status":${status},"milliseconds":${milliseconds}` +
    (phases === undefined
      ? ''
      : `,"phases":{"read":${phases.read},"judge":${phases.judge},"carry":${phases.carry}}`)
  );
}

function callerText(caller: AuditedCaller): string {
  let known = callers.get(caller);
  if (known === undefined) {
    known = `,"caller":${JSON.stringify(caller)}`;
    callers.set(caller, known);
  }
  return known;
}

function text(name: string, value: string | undefined): string {
  return value === undefined ? '' : `,"${name}":${JSON.stringify(value)}`;
}

function list(name: string, values: readonly string[] | undefined): string {
  if (values === undefined) return '';
  return values.length === 0 ? `,"${name}":[]` : `,"${name}":${JSON.stringify(values)}`;
}
