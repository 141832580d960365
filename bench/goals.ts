/** What a measure must reach and what it aims at: figures taken from its rows, compared with a bound. */
import type { Result, Row } from './measure.js';
import { short } from './statistics.js';

/** A figure of a measure, for example the ratio of two targets' medians. */
export type Figure = (rows: readonly Row[]) => number;

export interface Goal {
  /** What the figure is, in the words of the table. */
  readonly what: string;
  readonly figure: Figure;
  readonly unit: string;
  readonly side: 'at most' | 'at least';
  /** Without it the figure is printed, and nothing is asked of it. */
  readonly must?: number | Figure;
  readonly aim?: number | Figure;
}

export interface Verdict {
  readonly what: string;
  readonly value: number;
  readonly unit: string;
  readonly side: 'at most' | 'at least';
  readonly must?: number;
  readonly aim?: number;
  readonly reached?: boolean;
  readonly aimReached?: boolean;
}

function row(rows: readonly Row[], target: string): Row {
  const found = rows.find((candidate) => candidate.target === target);
  if (!found) throw new Error(`the measure has no target ${target}`);
  return found;
}

/** The median of a target. */
export function value(target: string): Figure {
  return (rows) => row(rows, target).median;
}

/** A target's median by another's. */
export function ratio(target: string, other: string): Figure {
  return (rows) => row(rows, target).median / row(rows, other).median;
}

/** What a target adds to another's median. */
export function added(target: string, other: string): Figure {
  return (rows) => row(rows, target).median - row(rows, other).median;
}

/** One of the figures beside a target's median, for example its CPU time. */
export function beside(target: string, key: string): Figure {
  return (rows) => row(rows, target).also[key] ?? Number.NaN;
}

/** The goals of a result with what became of them. A figure that is not there reaches nothing. */
export function verdicts(goals: readonly Goal[], rows: readonly Row[]): Verdict[] {
  return goals.map(({ what, figure, unit, side, must, aim }) => {
    const found = figure(rows);
    const bound = (limit: number | Figure): number => (typeof limit === 'number' ? limit : limit(rows));
    const within = (limit: number): boolean => (side === 'at most' ? found <= limit : found >= limit);
    return {
      ...{ what, value: found, unit, side },
      ...(must === undefined ? {} : { must: bound(must), reached: within(bound(must)) }),
      ...(aim === undefined ? {} : { aim: bound(aim), aimReached: within(bound(aim)) }),
    };
  });
}

/** All goals of a run as one Markdown table. */
export function goalTable(results: readonly Result[]): string {
  const sign = { 'at most': '≤', 'at least': '≥' } as const;
  const lines = results.flatMap(({ measure, goals }) =>
    goals.map(({ what, value: found, unit, side, must, aim, reached, aimReached }) => [
      `\`${measure}\``,
      what,
      `${short(found)} ${unit}`,
      must === undefined ? '' : `${sign[side]} ${short(must)} ${unit}`,
      reached === undefined ? '' : reached ? 'yes' : '**no**',
      aim === undefined ? '' : `${sign[side]} ${short(aim)} ${unit}${aimReached ? ', reached' : ''}`,
    ]),
  );
  const head = ['measure', 'figure', 'measured', 'must reach', 'reached', 'aim'];
  return [head, head.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}
