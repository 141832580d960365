/**
 * What a refused client is told: every denial at once, each with where, why, which setting decides and what to do.
 * Texts of Docker Desktop are kept word for word where people and programs look for them.
 */
import type { Denial } from './rule.js';

const PREFIX = 'enhanced container isolation: ';

/** A refusal as programs read it, beside the message that people read. */
export interface Refusal {
  readonly rule: string;
  readonly field: string;
  readonly reason: string;
  readonly setting: string;
  readonly remedy: string;
}

export interface DenialBody {
  /** HTTP status of the answer. */
  readonly status: number;
  /** Docker's `message`: the CLI prints it after `Error response from daemon: `. */
  readonly message: string;
  readonly refusals: readonly Refusal[];
}

/**
 * The answer to a request with at least one denial. A malformed request (400) wins over a forbidden one (403): it
 * couldn't have been judged as it was meant.
 */
export function denialBody(denials: readonly Denial[]): DenialBody {
  const [first] = denials;
  if (first === undefined) throw new TypeError('a refusal needs at least one denial');
  const statuses = denials.map((denial) => denial.status ?? 403);
  const status = statuses.find((code) => code !== 403) ?? 403;
  // Docker Desktop names several namespaces in one text.
  const same = denials.every(({ text }) => text === first.text);
  const message =
    denials.length === 1 || (first.text !== undefined && same)
      ? (first.text ?? PREFIX + sentence(first))
      : [`${PREFIX}${denials.length} parts of this request are refused:`, ...denials.map(line)].join('\n');
  return {
    status,
    message,
    refusals: denials.map(({ rule, field, reason, setting, remedy }) => ({
      rule,
      field,
      reason,
      setting,
      remedy,
    })),
  };
}

function line(denial: Denial): string {
  return `  - ${denial.text ?? sentence(denial)}`;
}

function sentence(denial: Denial): string {
  const setting = denial.setting === 'none' ? '' : `, setting ${denial.setting}`;
  return `${denial.reason} (rule ${denial.rule} at ${denial.field}${setting}). ${denial.remedy}`;
}
