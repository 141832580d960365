/**
 * The transparency table: what every docker verb and option gives, isolated and on plain runc alike. A row is a list
 * of docker command lines; their outputs and exit codes are compared. NAME stands for a name of the row's own, FOLDER
 * for a folder, and `create` and `run` get the runtime that is tested.
 */
import type { VerbRow } from './verb-row.js';
import { fileRows } from './verbs/files.js';
import { kernelRows } from './verbs/kernel.js';
import { lifeCycleRows } from './verbs/life-cycle.js';
import { processRows } from './verbs/processes.js';
import { volumeRows } from './verbs/volumes.js';

export const subjects: readonly { readonly subject: string; readonly rows: readonly VerbRow[] }[] = [
  { subject: 'processes', rows: processRows },
  { subject: 'kernel and limits', rows: kernelRows },
  { subject: 'files', rows: fileRows },
  { subject: 'volumes', rows: volumeRows },
  { subject: 'life cycle', rows: lifeCycleRows },
];

export const verbTable: readonly VerbRow[] = subjects.flatMap(({ rows }) => rows);
