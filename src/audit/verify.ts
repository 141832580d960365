/**
 * Reads an audit log back: line by line for people and programs, and checked as a chain for `--verify`.
 */
import { createReadStream } from 'node:fs';
import { basename } from 'node:path';
import { createInterface } from 'node:readline';
import { chainStart, checkLine } from './chain.js';
import { auditFiles } from './files.js';
import { type AuditLine, auditLineSchema } from './record.js';

/** A place where the chain doesn't hold. */
export interface ChainFault {
  readonly file: string;
  readonly line: number;
  readonly reason: string;
}

export interface Verification {
  readonly files: number;
  readonly records: number;
  /** The first and last sequence number that were read. */
  readonly first: number | undefined;
  readonly last: number | undefined;
  /** Chain of the last line: two copies of a log are equal up to it when this is. */
  readonly head: string | undefined;
  readonly faults: readonly ChainFault[];
}

/** A line's record; `undefined` when it is none. */
export function readAuditLine(line: string): AuditLine | undefined {
  try {
    const parsed = auditLineSchema.safeParse(JSON.parse(line));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}

/** The lines of one file, without their newlines. */
export function readLines(path: string): AsyncIterable<string> {
  return createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY });
}

/** Why a line doesn't continue the log; `undefined` when it does. */
function faultOf(
  line: string,
  record: AuditLine | undefined,
  before: { chain: string; sequence: number } | undefined,
) {
  const check = checkLine(before?.chain, line);
  if (check === undefined || record === undefined) return 'is not an audit record';
  if (before !== undefined && record.sequence !== before.sequence + 1) {
    return `has the sequence number ${record.sequence} where ${before.sequence + 1} is expected: records are missing, moved or added`;
  }
  return check.follows ? undefined : 'does not follow from the record before it: one of them was changed';
}

/**
 * Checks every file of a log's folder. The oldest kept record can't be checked against its predecessor, unless it
 * is the first of all. After a fault the check goes on from the faulty line, so that each is shown once.
 */
export async function verifyAudit(folder: string): Promise<Verification> {
  const files = auditFiles(folder);
  const faults: ChainFault[] = [];
  let records = 0;
  let first: number | undefined;
  let before: { chain: string; sequence: number } | undefined;
  for (const file of files) {
    let number = 0;
    for await (const line of readLines(file)) {
      number += 1;
      const record = readAuditLine(line);
      if (first === undefined && record?.sequence === 1) before = { chain: chainStart, sequence: 0 };
      const reason = faultOf(line, record, before);
      if (reason !== undefined) faults.push({ file: basename(file), line: number, reason });
      if (record === undefined) continue;
      records += 1;
      first ??= record.sequence;
      before = { chain: record.chain, sequence: record.sequence };
    }
  }
  return { files: files.length, records, first, last: before?.sequence, head: before?.chain, faults };
}
