/**
 * The files of an audit log: `audit.log` is being written, `audit-<sequence>.log` are full, named so that their
 * names sort in the order in which they were written.
 */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

export const currentName = 'audit.log';
const rotated = /^audit-\d{15}\.log$/;

/** Name of a full file, by the sequence number of its last record. */
export function rotatedName(sequence: number): string {
  return `audit-${String(sequence).padStart(15, '0')}.log`;
}

/** Paths of a log's files, oldest first; the last is the one being written, where there is one. */
export function auditFiles(folder: string): string[] {
  if (!existsSync(folder)) return [];
  const names = readdirSync(folder);
  const full = names.filter((name) => rotated.test(name)).sort();
  return [...full, ...(names.includes(currentName) ? [currentName] : [])].map((name) => join(folder, name));
}
