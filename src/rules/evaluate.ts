/**
 * Runs the rules over a request: which facts they need, what they find, and the request as it may be sent.
 * Pure. It must never lose a finding, stop at the first denial, or let two rules overwrite each other silently.
 */
import type { JsonObject } from '../engine/json.js';
import { warnedBecause } from '../settings/modes.js';
import { warnInstead } from './finding.js';
import { withValueAt } from './json-pointer.js';
import type {
  Assignment,
  Denial,
  Facts,
  Finding,
  JudgedRequest,
  Need,
  QueryAssignment,
  Rule,
  Warning,
} from './rule.js';
import { isRollback, unchangeable } from './service-rollback.js';

/** Everything that the rules found in one request. It may be sent only when `denials` is empty. */
export interface Verdict {
  readonly denials: readonly Denial[];
  readonly sets: readonly (Assignment | QueryAssignment)[];
  readonly warnings: readonly Warning[];
}

/** A rule contradicts another one: a fault of ours, never the client's. The request must not be sent. */
export class RuleConflict extends Error {
  readonly code = 'COFFERDAM_RULE_CONFLICT';
}

/**
 * The rules that judge this request: those that name its route, less those that rest because isolation is off.
 * With isolation off the engine behaves as plain Docker does, except for rules about something else (registries).
 */
export function rulesFor(rules: readonly Rule[], request: JudgedRequest): readonly Rule[] {
  const isolated = request.settings.enhancedContainerIsolation.value;
  return rules.filter(
    (rule) =>
      (isolated || rule.whenIsolationIsOff === 'judges') &&
      (rule.routes.includes('*') || rule.routes.includes(request.route.name)),
  );
}

/** The facts that the request's rules will ask for, each once. */
export function collectNeeds(rules: readonly Rule[], request: JudgedRequest): readonly Need[] {
  const needs = new Map<string, Need>();
  for (const rule of rulesFor(rules, request)) {
    for (const need of rule.needs?.(request) ?? []) needs.set(JSON.stringify(need), need);
  }
  return [...needs.values()];
}

/** The facts that follow from those at hand, less those already asked for. */
function collectFurtherNeeds(
  rules: readonly Rule[],
  request: JudgedRequest,
  facts: Facts,
  known: readonly Need[],
): readonly Need[] {
  const needs = new Map<string, Need>();
  for (const rule of rulesFor(rules, request)) {
    for (const need of rule.furtherNeeds?.(request, facts) ?? []) needs.set(JSON.stringify(need), need);
  }
  for (const need of known) needs.delete(JSON.stringify(need));
  return [...needs.values()];
}

/**
 * Looks up everything that the request's rules need: first what the request names, then what that leads to (a
 * container's volumes, a volume's host path). Chains are short; one that doesn't end is a fault of ours.
 * @returns at once when `resolve` does
 * @throws RuleConflict (or rejects) when the rules keep asking, and whatever `resolve` throws
 */
export function lookUp(
  rules: readonly Rule[],
  request: JudgedRequest,
  resolve: (needs: readonly Need[]) => Facts | Promise<Facts>,
): Facts | Promise<Facts> {
  const further = (facts: Facts, needs: readonly Need[], round: number): Facts | Promise<Facts> => {
    const more = collectFurtherNeeds(rules, request, facts, needs);
    if (more.length === 0) return facts;
    if (round === mostRounds) throw new RuleConflict('the rules keep asking for further facts');
    return look([...needs, ...more], round + 1);
  };
  const look = (needs: readonly Need[], round: number): Facts | Promise<Facts> => {
    const facts = resolve(needs);
    return facts instanceof Promise
      ? facts.then((found) => further(found, needs, round))
      : further(facts, needs, round);
  };
  return look(collectNeeds(rules, request), 0);
}

/** How often rules may ask further. */
const mostRounds = 4;

/**
 * What one rule finds; its denials are warnings where the settings say so. What it rewrites it rewrites all the same:
 * that is how a rule allows something. Where the engine takes its own copy of the body, a change is a denial.
 */
export function judgeBy(rule: Rule, request: JudgedRequest, facts: Facts): readonly Finding[] {
  return rule.judge(request, facts).map((finding) => {
    if (finding.kind === 'set' && isRollback(request)) return unchangeable(finding.field, finding.reason);
    if (finding.kind !== 'deny') return finding;
    const because = warnedBecause(request.settings, finding, request.caller);
    return because === undefined ? finding : warnInstead(finding, because);
  });
}

/** Lets every rule judge the request. All denials are collected, so that a person can mend them in one go. */
export function evaluate(rules: readonly Rule[], request: JudgedRequest, facts: Facts): Verdict {
  const denials: Denial[] = [];
  const sets: (Assignment | QueryAssignment)[] = [];
  const warnings: Warning[] = [];
  for (const rule of rulesFor(rules, request)) {
    for (const finding of judgeBy(rule, request, facts)) {
      if (finding.kind === 'deny') denials.push(finding);
      else if (finding.kind === 'warn') warnings.push(finding);
      else sets.push(finding);
    }
  }
  return { denials, sets, warnings };
}

/**
 * The request with the assignments made: what the engine is to get. The original request isn't changed.
 * @throws RuleConflict when two rules assign different values to one place
 */
export function apply(
  request: JudgedRequest,
  sets: readonly (Assignment | QueryAssignment)[],
): JudgedRequest {
  refuseContradictions(sets);
  let body: JsonObject | undefined = request.body;
  const query = new Map(request.query);
  for (const set of sets) {
    if (set.kind === 'set') body = withValueAt(body ?? {}, set.field, set.value);
    else if (set.value === undefined) query.delete(set.name);
    else query.set(set.name, [set.value]);
  }
  return { ...request, query, ...(body === undefined ? {} : { body }) };
}

function refuseContradictions(sets: readonly (Assignment | QueryAssignment)[]): void {
  const places = new Map<string, Assignment | QueryAssignment>();
  for (const set of sets) {
    const place = set.kind === 'set' ? set.field : `query:${set.name}`;
    for (const [other, earlier] of places) {
      const same = other === place && sameValue(earlier.value, set.value);
      const overlap = other === place || other.startsWith(`${place}/`) || place.startsWith(`${other}/`);
      if (overlap && !same) {
        throw new RuleConflict(`the rules ${earlier.rule} and ${set.rule} both assign ${place}`);
      }
    }
    places.set(place, set);
  }
}

function sameValue(left: Assignment['value'], right: Assignment['value']): boolean {
  const text = (value: Assignment['value']) =>
    JSON.stringify(value, (_key, part: unknown) => (typeof part === 'bigint' ? `${part}n` : part));
  return text(left) === text(right);
}
