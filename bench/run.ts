/**
 * `npm run bench`: measures cofferdam beside the bare engine and its peers in one interleaved run, prints tables,
 * and writes everything to bench/results.json.
 *   npm run bench                      every measure
 *   npm run bench -- ping docker-run   those that begin with these names
 */
import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { type Measure, type Result, run, table } from './measure.js';
import { allocate } from './measures/allocator.js';
import { bindRun, bindWork } from './measures/bind-mounts.js';
import { copyOut, nullBulk, saveImage } from './measures/bulk.js';
import { build, dockerExec, dockerRun, dockerStart, readFiles, untar } from './measures/docker-run.js';
import { judgedBuild, judgedContext } from './measures/judged-builds.js';
import { loadImage } from './measures/load-image.js';
import { inspectedCreate, pingLatency, throughputs } from './measures/requests.js';
import { echo, eventStreams, hijackedBulk, idleMemory } from './measures/streams.js';
import { Stage } from './stage.js';

const measures: readonly Measure[] = [
  idleMemory,
  dockerRun,
  dockerExec,
  dockerStart,
  build,
  judgedBuild,
  judgedContext,
  untar,
  readFiles,
  bindRun,
  bindWork,
  allocate,
  pingLatency,
  ...throughputs,
  inspectedCreate,
  saveImage,
  loadImage,
  copyOut,
  ...nullBulk,
  echo,
  hijackedBulk,
  eventStreams,
];

const wanted = process.argv.slice(2);
const chosen = measures.filter(
  ({ name }) => wanted.length === 0 || wanted.some((prefix) => name.startsWith(prefix)),
);
if (chosen.length === 0) {
  process.stderr.write(`no such measure; there are: ${measures.map(({ name }) => name).join(' ')}\n`);
  process.exit(2);
}

const stage = new Stage();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void stage.close().finally(() => process.exit(130)));
}
const results: Result[] = [];
let failed = false;
try {
  for (const measure of chosen) {
    try {
      const result = await run(measure, stage);
      results.push(result);
      process.stdout.write(`${table(result)}\n`);
    } catch (problem) {
      failed = true;
      process.stderr.write(`${measure.name}: ${problem instanceof Error ? problem.stack : problem}\n`);
    }
  }
} finally {
  await stage.close();
}
const [cpu] = cpus();
const machine = {
  cpu: cpu?.model,
  cores: cpus().length,
  node: process.version,
  date: new Date().toISOString(),
};
const file = fileURLToPath(new URL('./results.json', import.meta.url));
writeFileSync(file, `${JSON.stringify({ machine, results }, null, 2)}\n`);
process.stdout.write(`${results.length} measures, written to ${file}\n`);
process.exitCode = failed ? 1 : 0;
