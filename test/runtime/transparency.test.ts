/**
 * Every docker verb and option gives isolated what it gives on plain runc: each row of the table is run both ways
 * on the same engine, and outputs and exit codes are compared word for word.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { EngineVersion } from '../support/engines.js';
import { ResultTable } from '../support/result-table.js';
import { IsolatingEngine } from './support/isolating-engine.js';
import type { VerbRow } from './support/verb-row.js';
import { verbTable } from './support/verb-table.js';

const targets: readonly { version: EngineVersion; store: 'overlay2' | 'containerd' }[] = [
  { version: '26.1', store: 'overlay2' },
  { version: '20.10', store: 'overlay2' },
  { version: '28.5', store: 'containerd' },
];

const table = new ResultTable('row', 'engine', 'isolated, against plain runc');
afterAll(() => table.print());

describe.each(targets)('engine $version with $store', ({ version, store }) => {
  let isolating: IsolatingEngine;
  beforeAll(async () => {
    isolating = await IsolatingEngine.start({ version, store });
  });
  afterAll(() => isolating?.stop());

  async function outputs(row: VerbRow, runtime: string): Promise<string[]> {
    const name = `${row.name.replace(/[^a-z]+/g, '-').slice(0, 30)}-${runtime}`.replace(/^[^a-z]+/, '');
    const shown: string[] = [];
    for (const [index, step] of row.steps.entries()) {
      const [verb = '', ...rest] = step.map((word) =>
        word.replaceAll('NAME', name).replaceAll('FOLDER', isolating.engine.folder),
      );
      const argv =
        verb === 'run' || verb === 'create' ? [verb, '--runtime', runtime, ...rest] : [verb, ...rest];
      const input = row.input?.[index];
      const result = await isolating.engine.dockerWith(input === undefined ? {} : { input }, ...argv);
      // The engine lists changes in the order of its file system's hashes, and events as its parts tell them.
      const stdout = ['diff', 'events'].includes(verb)
        ? result.stdout.split('\n').sort().join('\n')
        : result.stdout;
      const text = `exit ${result.code}\n${stdout}${result.stderr}`;
      shown.push(
        text
          .replaceAll(name, 'NAME')
          .replace(/[0-9a-f]{64}/g, 'ID')
          .replace(/sha256:ID/g, 'IMAGE'),
      );
    }
    return shown;
  }

  const rows = verbTable.filter((row) => row.since === undefined || row.since <= version);
  test.each(rows)('$name', async (row) => {
    const [isolated, plain] = [await outputs(row, 'sysbox-runc'), await outputs(row, 'plain')];
    const lines = plain.join('').split('\n').length - 1;
    const same = JSON.stringify(isolated) === JSON.stringify(plain);
    table.add(row.name, `${version}, ${store}`, `${same ? 'the same' : 'differs'} (${lines} lines)`);
    expect(isolated).toEqual(plain);
  });
});
