/**
 * `npm run bench:profile -- MEASURE [ROUNDS]`: where the proxy's time goes while a measure loads it, by V8's sampling
 * profiler (`node --cpu-prof`): a flame graph as text, and the functions that used the most time themselves.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { measures } from './measures/all.js';
import { Stage, us } from './stage.js';

const profileSchema = z.object({
  nodes: z.array(
    z.object({
      id: z.number(),
      callFrame: z.object({ functionName: z.string(), url: z.string(), lineNumber: z.number() }),
      children: z.array(z.number()).optional(),
    }),
  ),
  samples: z.array(z.number()),
  timeDeltas: z.array(z.number()),
  /** Microseconds of the monotonic clock, as process.hrtime's. */
  startTime: z.number(),
});
type Profile = z.infer<typeof profileSchema>;

interface Frame {
  readonly label: string;
  /** Microseconds in this function itself, and with what it called. */
  own: number;
  total: number;
  readonly children: Map<string, Frame>;
}

/** Shares below this, in percent, are left out of the graph. */
const shown = 1;

function label({ callFrame: { functionName, url, lineNumber } }: Profile['nodes'][number]): string {
  const place = url.replace(/^.*\/dist\//, '').replace(/^node:/, '');
  return `${functionName || '(anonymous)'}${place ? ` ${place}:${lineNumber + 1}` : ''}`;
}

/** Joins the profile's nodes into one tree: what was done within a span of time, without the time of no work. */
function flame(profile: Profile, from: number, to: number): Frame {
  const own = new Map<number, number>();
  let now = profile.startTime;
  profile.samples.forEach((id, index) => {
    const spent = profile.timeDeltas[index] ?? 0;
    now += spent;
    if (now > from && now <= to) own.set(id, (own.get(id) ?? 0) + spent);
  });
  const byId = new Map(profile.nodes.map((node) => [node.id, node]));
  const grow = (id: number, into: Frame): void => {
    const node = byId.get(id);
    if (node === undefined || node.callFrame.functionName === '(idle)') return;
    const name = label(node);
    const frame = into.children.get(name) ?? { label: name, own: 0, total: 0, children: new Map() };
    into.children.set(name, frame);
    const before = frame.total;
    frame.own += own.get(id) ?? 0;
    frame.total += own.get(id) ?? 0;
    for (const child of node.children ?? []) grow(child, frame);
    into.total += frame.total - before;
  };
  const root: Frame = { label: 'cofferdam', own: 0, total: 0, children: new Map() };
  const first = profile.nodes[0];
  for (const child of first?.children ?? []) grow(child, root);
  return root;
}

function percent(part: number, whole: number): string {
  return `${((part / whole) * 100).toFixed(1).padStart(5)} %`;
}

function print(frame: Frame, whole: number, depth = 0): void {
  if ((frame.total / whole) * 100 < shown) return;
  process.stdout.write(`${percent(frame.total, whole)}  ${'  '.repeat(depth)}${frame.label}\n`);
  const children = [...frame.children.values()].sort((a, b) => b.total - a.total);
  for (const child of children) print(child, whole, depth + 1);
}

function heaviest(frame: Frame, into = new Map<string, number>()): Map<string, number> {
  into.set(frame.label, (into.get(frame.label) ?? 0) + frame.own);
  for (const child of frame.children.values()) heaviest(child, into);
  return into;
}

function microseconds(): number {
  return Number(process.hrtime.bigint() / 1000n);
}

const [wanted = 'ping-64', rounds = '3'] = process.argv.slice(2);
const measure = measures.find(({ name }) => name === wanted);
if (measure === undefined) throw new Error(`there is no measure ${wanted}`);
const folder = mkdtempSync(join(tmpdir(), 'cofferdam-profile-'));
const stage = new Stage(['--cpu-prof', '--cpu-prof-interval=200', `--cpu-prof-dir=${folder}`]);
let from = 0;
let to = 0;
try {
  try {
    const all = await measure.prepare(stage);
    // Where no target is called ours, each of them is.
    const ours = all.filter(({ name }) => name.includes(us));
    const samplers = ours.length === 0 ? all : ours;
    for (const sampler of samplers) await sampler.sample();
    from = microseconds();
    for (let round = 0; round < Number(rounds); round += 1)
      for (const sampler of samplers) await sampler.sample();
    to = microseconds();
    for (const sampler of all) await sampler.close?.();
  } finally {
    await stage.close();
  }
  // Programs that the daemon starts leave profiles as well: its own is the largest.
  const [largest] = readdirSync(folder)
    .map((name) => join(folder, name))
    .sort((a, b) => statSync(b).size - statSync(a).size);
  if (largest === undefined) throw new Error('the daemon left no profile');
  const root = flame(profileSchema.parse(JSON.parse(readFileSync(largest, 'utf8'))), from, to);
  process.stdout.write(`### Flame graph of ${wanted}: shares of the time at work\n\n`);
  print(root, root.total);
  process.stdout.write('\n### Functions by the time in themselves\n\n');
  const list = [...heaviest(root)].sort(([, a], [, b]) => b - a).slice(0, 25);
  for (const [name, time] of list) process.stdout.write(`${percent(time, root.total)}  ${name}\n`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
