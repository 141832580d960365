/**
 * `npm run bench`: measures cofferdam beside the bare engine and its peers in one interleaved run, prints a table for
 * each measure and one of all goals, and writes everything to bench/results.json.
 *   npm run bench                      every measure
 *   npm run bench -- ping docker-run   those that begin with these names
 *   npm run bench -- --rounds 3 ping   three times as many rounds
 *   npm run bench -- --record          writes the tables to docs/performance-results.md as well
 *   npm run bench -- --list            their names
 */
import { writeFileSync } from 'node:fs';
import { cpus, loadavg, release } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { goalTable } from './goals.js';
import { type Measure, type Result, run, table } from './measure.js';
import { measures } from './measures/all.js';
import { Stage } from './stage.js';

interface Wanted {
  readonly list: readonly Measure[];
  /** Scales the number of rounds. */
  readonly share: number;
  readonly namesOnly: boolean;
  readonly record: boolean;
}

/** What the command line asks for. */
function wanted(argv: readonly string[]): Wanted {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      list: { type: 'boolean', default: false },
      record: { type: 'boolean', default: false },
      rounds: { type: 'string', default: '1' },
    },
  });
  const list = measures.filter(
    ({ name }) => positionals.length === 0 || positionals.some((prefix) => name.startsWith(prefix)),
  );
  const share = Number(values.rounds);
  if (!(share > 0)) throw new Error('--rounds takes a number above 0');
  if (list.length === 0) {
    throw new Error(`no such measure; there are: ${measures.map(({ name }) => name).join(' ')}`);
  }
  return { list, share, namesOnly: values.list, record: values.record };
}

/** What the figures were taken on; no name of the machine. */
function machine(): Record<string, string | number | undefined> {
  return {
    cpu: cpus()[0]?.model,
    cores: cpus().length,
    kernel: release(),
    node: process.version,
    date: new Date().toISOString(),
    // Others' work at the beginning: above 0.5 the figures are not the proxy's alone.
    load: loadavg()[0],
  };
}

async function measureAll({ list, share, record }: Wanted): Promise<boolean> {
  const about = machine();
  const begin = performance.now();
  const stage = new Stage();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => void stage.close().finally(() => process.exit(130)));
  }
  const results: Result[] = [];
  const failures: string[] = [];
  try {
    for (const measure of list) {
      try {
        const result = await run(measure, stage, share);
        results.push(result);
        process.stdout.write(`${table(result)}\n`);
      } catch (problem) {
        failures.push(measure.name);
        process.stderr.write(`${measure.name}: ${problem instanceof Error ? problem.stack : problem}\n`);
      }
    }
  } finally {
    await stage.close();
  }
  const seconds = (performance.now() - begin) / 1000;
  if (record) writeRecord(about, results);
  const file = fileURLToPath(new URL('./results.json', import.meta.url));
  writeFileSync(file, `${JSON.stringify({ machine: about, seconds, failures, results }, null, 2)}\n`);
  process.stdout.write(`### What was to be reached\n\n${goalTable(results)}\n\n`);
  process.stdout.write(`${results.length} measures in ${seconds.toFixed(0)} s, written to ${file}\n`);
  if (failures.length > 0) process.stdout.write(`not measured: ${failures.join(' ')}\n`);
  return failures.length === 0;
}

/** The tables for the documentation. */
function writeRecord(about: Record<string, string | number | undefined>, results: readonly Result[]): void {
  const { cpu, cores, kernel, node, date, load } = about;
  const text = [
    '# What the benchmarks measured',
    '',
    `Written by \`npm run bench -- --record\` on ${String(date).slice(0, 10)}: ${cores} × ${cpu}, Linux ${String(kernel).replace(/-.*/, '')}, Node.js ${node}, load ${Number(load).toFixed(1)} at the beginning. What the figures mean and what bounds them stands in [performance.md](performance.md).`,
    '',
    '## What was to be reached',
    '',
    goalTable(results),
    '',
    '## Every measure',
    '',
    ...results.map((result) => table(result)),
  ].join('\n');
  writeFileSync(
    fileURLToPath(new URL('../docs/performance-results.md', import.meta.url)),
    `${text.trimEnd()}\n`,
  );
}

try {
  const asked = wanted(process.argv.slice(2));
  if (asked.namesOnly)
    for (const { name, title } of asked.list) process.stdout.write(`${name.padEnd(20)} ${title}\n`);
  else if (!(await measureAll(asked))) process.exitCode = 1;
} catch (problem) {
  process.stderr.write(`bench: ${problem instanceof Error ? problem.message : problem}\n`);
  process.exitCode = 2;
}
