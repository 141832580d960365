/**
 * What the audit log says: one record for each request, on every exit, and one for each event of the daemon.
 * A record names things and never quotes them: no bodies, no queries (build arguments travel there), no
 * environment values, no credentials. The published schema, config/audit-record.schema.json, is generated here.
 */
import { z } from 'zod';
import { callerSchema as ledgerCallerSchema } from '../uid-allocator/record.js';

const text = z.string();
const texts = z.array(z.string()).readonly();

const callerSchema = ledgerCallerSchema.extend({
  command: z
    .string()
    .optional()
    .describe('What the process calls itself: a hint, no proof. Absent when it had ended.'),
});

/** A caller as records name it. */
export type AuditedCaller = Readonly<z.input<typeof callerSchema>>;

/** How a request ended, as the policy saw it. */
export const verdicts = ['allowed', 'rewritten', 'denied', 'malformed', 'failed'] as const;

const requestRecordSchema = z
  .object({
    event: z.literal('request'),
    caller: callerSchema
      .readonly()
      .optional()
      .describe('Absent when the connection ended before it was known.'),
    method: text.describe('The HTTP method; empty when no request head could be read.'),
    route: text
      .optional()
      .describe('Name of the endpoint, as `container.create`; absent when there is none.'),
    path: text
      .optional()
      .describe('Canonical path with version, without query; absent when it was malformed.'),
    objects: texts.default([]).describe('Full ids of the objects that the request names or made.'),
    verdict: z
      .enum(verdicts)
      .describe(
        '`rewritten`: allowed after a change. `malformed`: refused before any rule. `failed`: the engine or the proxy failed.',
      ),
    rules: texts.default([]).describe('Ids of the rules that refused, rewrote or warned.'),
    warnings: texts.default([]).describe('What the rules allowed but want to be seen.'),
    reason: text.optional().describe('Why it was refused, as the client was told.'),
    rewritten: texts
      .default([])
      .describe('JSON pointers and query parameters that were set; never their values.'),
    image: text
      .optional()
      .describe('The image that is named to make a container, to pull or to push, in full.'),
    generation: z.number().int().describe('Which settings were in force: counts their changes.'),
    status: z.number().int().describe('HTTP status of the answer; 0 when the client went away before it.'),
    error: text.optional().describe('Stable code of what failed.'),
    milliseconds: z.number().describe('From the first byte of the head to the last of the answer.'),
    phases: z
      .object({
        read: z.number().describe('Until the request was read.'),
        judge: z.number().describe('Looking up facts and judging.'),
        carry: z.number().describe('The engine, and the answer up to its last byte.'),
      })
      .readonly()
      .optional()
      .describe('What of it each phase took, in milliseconds.'),
  })
  .readonly();

const eventRecordSchema = z
  .object({
    event: z.enum([
      'daemon.started',
      'daemon.stopped',
      'settings.changed',
      'settings.refused',
      'isolation.switched',
      'isolation.refused',
      'socket.granted',
      'socket.revoked',
      'policy.refreshed',
      'policy.failed',
      'egress.refused',
    ]),
    caller: callerSchema.readonly().optional().describe('Who caused it, where somebody did.'),
    generation: z.number().int().describe('Which settings were in force.'),
    objects: texts.default([]).describe('Full ids of the objects concerned.'),
    details: texts.default([]).describe('Lines for people, such as the keys that changed.'),
  })
  .readonly();

/** A record as its writer gives it. */
export type AuditRecord = z.input<typeof requestRecordSchema> | z.input<typeof eventRecordSchema>;

const position = {
  time: z.iso.datetime().describe('When the record was written, UTC.'),
  sequence: z.number().int().min(1).describe('Counts the records of this log from 1, without gaps.'),
  chain: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .describe('SHA-256 of the previous record\'s chain and of this line up to `,"chain"`.'),
};

/** A line of the log. */
export const auditLineSchema = z.union([
  z.object({ ...position, ...requestRecordSchema.unwrap().shape }).readonly(),
  z.object({ ...position, ...eventRecordSchema.unwrap().shape }).readonly(),
]);
export type AuditLine = z.infer<typeof auditLineSchema>;
