/** How a benchmark is described, run and printed: samples of all targets interleaved, medians, ratios. */
import { type Goal, type Verdict, verdicts } from './goals.js';
import type { Stage } from './stage.js';
import { median, short } from './statistics.js';

/** One thing that is measured in the same way on several targets. */
export interface Measure {
  readonly name: string;
  readonly title: string;
  readonly unit: string;
  readonly better: 'lower' | 'higher';
  readonly rounds: number;
  readonly goals?: readonly Goal[];
  /** Prepares the targets; the first one is what the others are compared with. */
  prepare(stage: Stage): Promise<readonly Sampler[]>;
}

export interface Sampler {
  readonly name: string;
  /** One sample, and figures that belong to it, such as CPU time per request. */
  sample(): Promise<Sample>;
  /** Ends what belongs to this target alone. */
  close?(): Promise<void> | void;
}

export interface Sample {
  readonly value: number;
  readonly also?: Readonly<Record<string, number>>;
}

export interface Row {
  readonly target: string;
  readonly median: number;
  /** Ratio to the first target's median. */
  readonly ratio: number;
  readonly also: Readonly<Record<string, number>>;
  readonly samples: readonly number[];
}

export interface Result {
  readonly measure: string;
  readonly title: string;
  readonly unit: string;
  readonly better: 'lower' | 'higher';
  readonly rows: readonly Row[];
  readonly goals: readonly Verdict[];
  /** How long the measure took, preparations included. */
  readonly seconds: number;
}

/** A measure that takes longer, in milliseconds, on a busy machine say, ends with fewer rounds; never below three. */
const longest = 40_000;
const fewestRounds = 3;

/**
 * Runs a measure: each round takes one sample of every target, starting with another one each time.
 * `share` scales the number of rounds.
 */
export async function run(measure: Measure, stage: Stage, share = 1): Promise<Result> {
  const begin = performance.now();
  const samplers = await measure.prepare(stage);
  const samples = new Map<string, Sample[]>(samplers.map(({ name }) => [name, []]));
  try {
    // One sample each that doesn't count: caches and just-in-time compilers.
    for (const sampler of samplers) await sampler.sample();
    const rounds = Math.max(1, Math.round(measure.rounds * share));
    for (let round = 0; round < rounds; round += 1) {
      if (round >= fewestRounds && performance.now() - begin > longest * Math.max(1, share)) break;
      for (let turn = 0; turn < samplers.length; turn += 1) {
        const sampler = samplers[(round + turn) % samplers.length];
        if (sampler) samples.get(sampler.name)?.push(await sampler.sample());
      }
    }
  } finally {
    for (const sampler of samplers) await sampler.close?.();
  }
  const { name, title, unit, better } = measure;
  const found = rows(samplers, samples);
  const seconds = (performance.now() - begin) / 1000;
  return {
    ...{ measure: name, title, unit, better, seconds, rows: found },
    goals: verdicts(measure.goals ?? [], found),
  };
}

function rows(samplers: readonly Sampler[], samples: ReadonlyMap<string, readonly Sample[]>): Row[] {
  const medianOf = (target: string): number => median((samples.get(target) ?? []).map(({ value }) => value));
  const baseline = medianOf(samplers[0]?.name ?? '');
  return samplers.map(({ name }) => {
    const own = samples.get(name) ?? [];
    const keys = [...new Set(own.flatMap(({ also }) => Object.keys(also ?? {})))];
    return {
      target: name,
      median: medianOf(name),
      ratio: medianOf(name) / baseline,
      also: Object.fromEntries(
        keys.map((key) => [key, median(own.map(({ also }) => also?.[key] ?? Number.NaN))]),
      ),
      samples: own.map(({ value }) => value),
    };
  });
}

/** The result as a Markdown table. */
export function table(result: Result): string {
  const keys = [...new Set(result.rows.flatMap(({ also }) => Object.keys(also)))];
  const head = ['', `median (${result.unit})`, 'ratio', ...keys];
  const lines = result.rows.map(({ target, median: value, ratio, also }) => [
    target,
    short(value),
    `${ratio.toFixed(3)} ×`,
    ...keys.map((key) => (also[key] === undefined ? '' : short(also[key]))),
  ]);
  const all = [head, head.map(() => '---'), ...lines];
  return [
    `### ${result.measure}: ${result.title} (${result.better} is better, ${result.rows[0]?.samples.length ?? 0} rounds, ${result.seconds.toFixed(0)} s)`,
    '',
    ...all.map((cells) => `| ${cells.join(' | ')} |`),
    '',
  ].join('\n');
}
