/**
 * The files of an audit log: `audit.log` is being written, `audit-<sequence>.log` are full, named so that their
 * names sort in the order in which they were written.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

export const currentName = 'audit.log';
const rotated = /^audit-\d{15}\.log$/;

/** Name of a full file, by the sequence number of its last record. */
export function rotatedName(sequence: number): string {
  return `audit-${String(sequence).padStart(15, '0')}.log`;
}

/** What a log's folder holds; nothing where there is none. Throws where this account may not look. */
function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
}

/**
 * Paths of a log's files, oldest first; the last is the one being written, where there is one. Throws the system's
 * error for a folder that can't be read: a log that isn't seen must not look like one that is empty.
 */
export function auditFiles(folder: string): string[] {
  const names = namesIn(folder);
  const full = names.filter((name) => rotated.test(name)).sort();
  return [...full, ...(names.includes(currentName) ? [currentName] : [])].map((name) => join(folder, name));
}
