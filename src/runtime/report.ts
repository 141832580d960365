/**
 * Tells whoever started the runtime why a container wasn't started, the way runc does: a line in the log file of
 * `--log`, which containerd's shim and BuildKit read for their own message, and a line on standard error.
 */
import { appendFileSync } from 'node:fs';
import type { CreateArguments } from './arguments.js';

/** The words of a failure; a defect of ours is told from a refusal by its stack, which goes to the log as well. */
export function describeFailure(problem: unknown): string {
  return problem instanceof Error ? problem.message : String(problem);
}

/** Appends an error to the log file that the caller named; without one it is told on standard error alone. */
export function writeErrorLog(target: Pick<CreateArguments, 'log' | 'logFormat'>, message: string): void {
  if (target.log === undefined) return;
  const time = new Date().toISOString().replace(/\.\d+Z$/, 'Z');
  const line =
    target.logFormat === 'json'
      ? JSON.stringify({ level: 'error', msg: message, time })
      : `time="${time}" level=error msg=${JSON.stringify(message)}`;
  appendFileSync(target.log, `${line}\n`, { mode: 0o600 });
}
