/**
 * How rules write their findings down, so that every one of them carries where, why, which setting and what to do.
 */
import type { JsonValue } from '../engine/json.js';
import type { Assignment, Denial, Warning } from './rule.js';

/** The setting that most rules follow. */
export const isolationSetting = 'enhancedContainerIsolation.value';

/** What a denial may carry beyond the usual. */
export type DenialExtras = Pick<Denial, 'status' | 'text'>;

export interface Findings {
  deny(field: string, reason: string, remedy: string, extras?: DenialExtras): Denial;
  set(field: string, value: JsonValue | undefined, reason: string): Assignment;
  warn(field: string, reason: string): Warning;
}

/**
 * A refusal where it only warns.
 * @param because what has it so
 */
export function warnInstead({ rule, field, reason, setting }: Denial, because: string): Warning {
  return { kind: 'warn', rule, field, reason: `${reason} (${setting}); allowed, because ${because}` };
}

/** The findings of one rule. */
export function findingsOf(rule: string, setting: string = isolationSetting): Findings {
  return {
    deny: (field, reason, remedy, extras = {}) => ({
      kind: 'deny',
      rule,
      field,
      reason,
      setting,
      remedy,
      ...extras,
    }),
    set: (field, value, reason) => ({ kind: 'set', rule, field, value, reason }),
    warn: (field, reason) => ({ kind: 'warn', rule, field, reason }),
  };
}
