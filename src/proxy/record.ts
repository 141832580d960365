/**
 * The phase *record*: one line of the audit log for each request, on every exit. It names things and never quotes
 * them: no bodies, no queries, no header values.
 */
import type { AuditRecord } from '../audit/record.js';
import type { Verdict } from '../rules/evaluate.js';
import { grpcOnly } from './client-http2.js';
import type { ProxyContext } from './context.js';
import { ProxyError, type ProxyErrorCode } from './errors.js';
import type { Exchange } from './exchange.js';
import type { GrpcWatcher } from './grpc.js';
import { RequestRefused } from './judge.js';
import { RequestProblems } from './route-request.js';

type RequestRecord = Extract<AuditRecord, { event: 'request' }>;

/** Writes the record of an exchange that has ended, or that became a tunnel. */
export function record(
  exchange: Exchange,
  { audit, settings }: Pick<ProxyContext, 'audit' | 'settings'>,
): void {
  const { findings, head, status, startedAt, reached } = exchange;
  const { routed, verdict, error } = findings;
  const found = verdict === undefined ? nothingFound : rulesOf(verdict);
  const failed = error === undefined ? noFailure : failure(error);
  const end = performance.now();
  // A phase that was not finished has the rest.
  const { read = end, judged = end } = reached;
  // One literal and no copies: there is one for every request.
  audit.record({
    event: 'request',
    caller: exchange.connection.auditedCaller,
    method: head?.method ?? '',
    route: routed?.route.name,
    path: routed?.path,
    objects: findings.objects ?? none,
    image: findings.image,
    verdict: verdictOf(exchange),
    rules: found.rules,
    warnings: found.warnings,
    rewritten: found.rewritten,
    reason: failed.reason,
    error: failed.error,
    generation: settings.generation,
    status,
    milliseconds: rounded(end - startedAt),
    phases: { read: rounded(read - startedAt), judge: rounded(judged - read), carry: rounded(end - judged) },
  });
}

function rounded(milliseconds: number): number {
  return Math.round(milliseconds * 1000) / 1000;
}

/** Writes a record for each BuildKit call that is refused on an upgraded connection. */
export function grpcWatcher(
  exchange: Exchange,
  { audit, log, settings }: Pick<ProxyContext, 'audit' | 'log' | 'settings'>,
): GrpcWatcher {
  return {
    refused: (path, refusal) =>
      audit.record({
        event: 'request',
        caller: exchange.connection.auditedCaller,
        method: 'POST',
        route: 'build.grpc',
        path,
        verdict: 'denied',
        reason: refusal.message,
        generation: settings.generation,
        status: 200,
        milliseconds: 0,
      }),
    unserved: () =>
      audit.record({
        event: 'request',
        caller: exchange.connection.auditedCaller,
        method: 'POST',
        route: 'build.grpc',
        verdict: 'malformed',
        error: 'COFFERDAM_HTTP_VERSION' satisfies ProxyErrorCode,
        reason: grpcOnly.message,
        generation: settings.generation,
        status: grpcOnly.status,
        milliseconds: 0,
      }),
    failed: (error) => log.error({ err: error }, 'a BuildKit call could not be judged'),
  };
}

function verdictOf({ findings: { error, verdict } }: Exchange): RequestRecord['verdict'] {
  if (error instanceof RequestRefused) return 'denied';
  if (
    error instanceof RequestProblems ||
    (error instanceof ProxyError && error.side === 'client' && !isGone(error))
  )
    return 'malformed';
  // A client that goes away in the middle of an answer has been judged all the same.
  if (error !== undefined && !isGone(error)) return 'failed';
  return verdict !== undefined && verdict.sets.length > 0 ? 'rewritten' : 'allowed';
}

function isGone(error: unknown): boolean {
  return error instanceof ProxyError && error.code === 'COFFERDAM_CLIENT_GONE';
}

const none: readonly string[] = [];

interface Found {
  readonly rules?: readonly string[];
  readonly warnings?: readonly string[];
  readonly rewritten?: readonly string[];
}

const nothingFound: Found = {};
const nothingToTell: Found = { rules: none, warnings: none, rewritten: none };

function rulesOf({ denials, sets, warnings }: Verdict): Found {
  if (denials.length + sets.length + warnings.length === 0) return nothingToTell;
  return {
    rules: [...new Set([...denials, ...sets, ...warnings].map(({ rule }) => rule))],
    warnings: warnings.map(({ reason }) => reason),
    rewritten: sets.map((set) => (set.kind === 'set' ? set.field : `query:${set.name}`)),
  };
}

interface Failure {
  readonly reason?: string;
  readonly error?: string;
}

const noFailure: Failure = {};

function failure(error: unknown): Failure {
  if (error instanceof RequestRefused) return { reason: error.message };
  if (error instanceof RequestProblems) return { reason: error.message, error: 'COFFERDAM_BAD_REQUEST' };
  if (error instanceof ProxyError) return { reason: error.message, error: error.code };
  return { error: 'COFFERDAM_INTERNAL' };
}
