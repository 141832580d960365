/**
 * `cofferdam explain`: what would be allowed, changed or refused, rule by rule, and which setting decides. It judges as
 * the daemon does, with the rules of the daemon; it must never send anything to an engine that changes something.
 */
import { readFileSync } from 'node:fs';
import { bodyFieldNames, typeBody } from '../engine/body.js';
import { type JsonObject, parseGoJson } from '../engine/json.js';
import { parseQuery } from '../engine/query.js';
import { findRoute, parseVersionedPath } from '../engine/routes.js';
import { approvedMounts } from '../rules/approved-mounts.js';
import { judgeBy, lookUp, rulesFor } from '../rules/evaluate.js';
import { rules } from '../rules/index.js';
import { valueAt } from '../rules/json-pointer.js';
import { denialBody } from '../rules/message.js';
import type { Denial, Facts, Finding, JudgedRequest, Rule } from '../rules/rule.js';
import { inForce } from '../rules/service-rollback.js';
import { loadSettings } from '../settings/load.js';
import type { Settings } from '../settings/schema.js';
import type { ApprovedMount } from '../uid-allocator/record.js';
import { type CapturedRequest, captureRequest } from './explain-capture.js';
import { explainFacts } from './explain-facts.js';
import { explainBuild, explainPull } from './explain-images.js';
import { ownershipLines } from './explain-ownership.js';
import { type Options, parseOptions, UsageError } from './options.js';
import { colour, print, printJson } from './output.js';

/** What a rule says of the request. */
interface RuleVerdict {
  readonly rule: Rule;
  readonly findings: readonly Finding[];
}

/** Explains a command, a request or a rule; 0 when the request would be allowed, else 1. */
export async function explain(argv: readonly string[], environment: NodeJS.ProcessEnv): Promise<number> {
  const options = parseOptions('explain', argv, environment);
  const file = options.values.get('request');
  const [first, ...more] = options.operands;
  const settings = loadSettings(options.settings);
  const [pull, build] = [options.values.get('pull'), options.values.get('build')];
  if (pull !== undefined) return explainPull(pull, settings, options.json);
  if (build !== undefined) return explainBuild(build, settings, options.json);
  if (file === undefined && first !== undefined && more.length === 0 && first !== 'docker') {
    return explainRule(first, settings, options);
  }
  if (file === undefined && first === undefined)
    throw new UsageError('name a rule, or give a command after --', 'explain');
  const facts = await explainFacts(options, environment);
  try {
    const command = first === 'docker' ? options.operands : ['docker', ...options.operands];
    const captured =
      file === undefined
        ? await captureRequest(command, facts.engine.apiVersion, environment)
        : { method: 'POST', target: '/containers/create', body: readFileSync(file === '-' ? 0 : file) };
    return await explainRequest(captured, settings, facts, options);
  } finally {
    await facts.close();
  }
}

function explainRule(id: string, settings: Settings, options: Options): number {
  const rule = rules.find((candidate) => candidate.id === id);
  if (rule === undefined) {
    throw new UsageError(
      `there is no rule ${id}; there are: ${rules.map((known) => known.id).join(', ')}`,
      'explain',
    );
  }
  const value = settingValue(settings, rule.setting);
  const { summary, setting, routes, whenIsolationIsOff } = rule;
  if (options.json) {
    printJson({ rule: id, summary, setting, value, routes, whenIsolationIsOff });
    return 0;
  }
  print(`${colour('bold', id)}\n  ${summary}`);
  print(`  setting: ${setting}${value === undefined ? '' : ` = ${JSON.stringify(value)}`}`);
  print(`  endpoints: ${routes.join(', ')}`);
  print(`  while isolation is off the rule ${whenIsolationIsOff}`);
  return 0;
}

function settingValue(settings: Settings, name: string): unknown {
  if (name === 'none') return undefined;
  const plain = parseGoJson(Buffer.from(JSON.stringify(settings)));
  return valueAt(plain, `/${name.replaceAll('.', '/')}`);
}

async function explainRequest(
  captured: CapturedRequest,
  settings: Settings,
  facts: Awaited<ReturnType<typeof explainFacts>>,
  options: Options,
): Promise<number> {
  const asked = describe(captured, settings, facts);
  if ('denials' in asked) return report(captured, undefined, [], asked.denials, options);
  const effect = await inForce(asked, (needs) => facts.resolve(needs, asked));
  if (effect.kind === 'refuse') return report(captured, asked, [], effect.denials, options);
  const described = effect.request;
  const found = await lookUp(rules, described, (needs) => facts.resolve(needs, described));
  const verdicts = judgeAll(described, found);
  const denials = verdicts.flatMap(({ findings }) => findings.filter((finding) => finding.kind === 'deny'));
  const mounts = denials.length > 0 ? [] : approvedMounts(described, found);
  return report(captured, described, verdicts, denials, options, mounts);
}

/** The request as the rules see it, or why it can't be judged at all. */
function describe(
  { method, target, body }: CapturedRequest,
  settings: Settings,
  facts: Awaited<ReturnType<typeof explainFacts>>,
): JudgedRequest | { readonly denials: readonly Denial[] } {
  const parsed = parseVersionedPath(target);
  if ('problem' in parsed) return refusal(parsed.problem);
  const match = findRoute(method, parsed.path);
  if ('problem' in match) return refusal(match.problem);
  const query = parseQuery(match.route, parsed.query, bodyFieldNames(match.route));
  if ('problems' in query) return refusal(...query.problems);
  const apiVersion = parsed.version ?? facts.engine.apiVersion;
  const typed =
    match.route.body === 'json'
      ? typeBody(match.route, body.length === 0 ? undefined : parseGoJson(body), apiVersion)
      : undefined;
  if (typed !== undefined && 'problems' in typed) return refusal(...typed.problems);
  const object: JsonObject | undefined = typed !== undefined && 'body' in typed ? typed.body : undefined;
  return {
    route: match.route,
    params: match.params,
    query: query.query,
    headers: new Map(),
    ...(object === undefined ? {} : { body: object }),
    apiVersion,
    caller: facts.caller,
    engine: facts.engine,
    settings,
  };
}

function refusal(
  ...problems: readonly { readonly field: string; readonly reason: string; readonly remedy: string }[]
) {
  return {
    denials: problems.map(
      ({ field, reason, remedy }): Denial => ({
        kind: 'deny',
        rule: 'request',
        field,
        reason,
        remedy,
        setting: 'none',
        status: 400,
      }),
    ),
  };
}

function judgeAll(request: JudgedRequest, facts: Facts): readonly RuleVerdict[] {
  return rulesFor(rules, request).map((rule) => ({ rule, findings: judgeBy(rule, request, facts) }));
}

function report(
  { method, target }: CapturedRequest,
  request: JudgedRequest | undefined,
  verdicts: readonly RuleVerdict[],
  denials: readonly Denial[],
  options: Options,
  mounts: readonly ApprovedMount[] = [],
): number {
  const answer = denials.length === 0 ? undefined : denialBody(denials);
  if (options.json) {
    const judged = verdicts.map(({ rule, findings }) => ({ rule: rule.id, setting: rule.setting, findings }));
    printJson({
      request: { method, target, body: request?.body },
      allowed: denials.length === 0,
      rules: judged,
      mounts,
      answer,
    });
    return denials.length === 0 ? 0 : 1;
  }
  print(colour('dim', `${method} ${target}`));
  for (const { rule, findings } of verdicts) {
    if (findings.length === 0) print(`${colour('green', 'allows ')}  ${rule.id}`);
    for (const finding of findings) print(line(finding, rule));
  }
  for (const text of ownershipLines(mounts)) print(`${colour('green', 'mounts ')}  ${text}`);
  print();
  if (answer === undefined) print(colour('green', 'The request would be allowed.'));
  else print(`${colour('red', `The request would be refused (HTTP ${answer.status}):`)}\n${answer.message}`);
  return denials.length === 0 ? 0 : 1;
}

function line(finding: Finding, rule: Rule): string {
  const setting = rule.setting === 'none' ? '' : colour('dim', `  [${rule.setting}]`);
  switch (finding.kind) {
    case 'deny':
      return `${colour('red', 'refuses')}  ${rule.id}  ${finding.field}: ${finding.reason}${setting}`;
    case 'warn':
      return `${colour('yellow', 'warns  ')}  ${rule.id}  ${finding.field}: ${finding.reason}${setting}`;
    case 'set':
      return `${colour('yellow', 'changes')}  ${rule.id}  ${finding.field}: ${finding.reason}${setting}`;
    case 'set-query':
      return `${colour('yellow', 'changes')}  ${rule.id}  query:${finding.name}: ${finding.reason}${setting}`;
  }
}
