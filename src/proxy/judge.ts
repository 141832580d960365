/**
 * The phases *lookup*, *evaluate* and *apply*: gathers what the rules need to know, lets them judge, and makes the
 * request as the engine is to get it. It must never forward a request with a denial, nor one that a rule changed in
 * its old form.
 */
import { bodyFieldNames } from '../engine/body.js';
import type { RequestProblem } from '../engine/problem.js';
import { parseQuery } from '../engine/query.js';
import { apiVersionProblem } from '../engine/routes.js';
import { apply, collectNeeds, evaluate, lookUp, type Verdict } from '../rules/evaluate.js';
import { missingContainer, nameInFull } from '../rules/named-objects.js';
import { noFacts } from '../rules/no-facts.js';
import { askedBinds, withPinnedBinds } from '../rules/pinned-binds.js';
import type { Denial, EngineFacts, Facts, JudgedRequest, Rule } from '../rules/rule.js';
import { inForce, isRollback } from '../rules/service-rollback.js';
import type { AskedBinds } from '../uid-allocator/record.js';
import type { ProxyContext } from './context.js';
import { repeatable } from './earlier-judgement.js';
import type { Exchange } from './exchange.js';
import { makeMissingSources } from './missing-sources.js';
import { namedImage } from './named-image.js';
import type { JsonBody } from './read-body.js';
import { RequestProblems, type RoutedRequest } from './route-request.js';

/** The rules refuse a request. Nothing of it reached the engine. */
export class RequestRefused extends Error {
  readonly denials: readonly Denial[];

  constructor(denials: readonly Denial[]) {
    super(denials.map(({ reason }) => reason).join('\n'));
    this.denials = denials;
  }
}

/** A request that no rule refused, as the engine is to get it, and what it was judged by. */
export interface AllowedRequest {
  readonly request: JudgedRequest;
  readonly facts: Facts;
  readonly verdict: Verdict;
  /** Its binds as the client wrote them, where the engine gets them in another form. */
  readonly asked?: AskedBinds;
  /** The container, or the service to be rolled back, as the client named it, where there is none. */
  readonly missing?: string;
}

/**
 * The request as the rules see it.
 * @throws RequestProblems for an API version that the engine doesn't serve, or a query that can't be judged
 */
export function describeRequest(
  exchange: Exchange,
  routed: RoutedRequest,
  { body }: JsonBody,
  engine: EngineFacts,
  proxy: ProxyContext,
): JudgedRequest {
  const unserved = versionProblem(routed, engine);
  if (unserved !== undefined) throw new RequestProblems([unserved]);
  const parsed = parseQuery(routed.route, routed.queryText, bodyFieldNames(routed.route));
  if ('problems' in parsed) throw new RequestProblems(parsed.problems);
  return {
    route: routed.route,
    params: routed.match.params,
    query: parsed.query,
    headers: exchange.requireHead().headers,
    ...(body === undefined ? {} : { body }),
    apiVersion: routed.version ?? engine.apiVersion,
    caller: exchange.caller,
    engine,
    settings: proxy.settings.current,
  };
}

function versionProblem({ version }: RoutedRequest, engine: EngineFacts): RequestProblem | undefined {
  if (version === undefined) return undefined;
  return apiVersionProblem(version, engine.apiVersion, engine.minimumApiVersion);
}

/**
 * Judges a request by every rule of its route: at once where nothing has to be looked up.
 * @throws RequestRefused with all denials
 * @throws ProxyError when a fact can't be had
 */
export function judge(
  exchange: Exchange,
  asked: JudgedRequest,
  proxy: ProxyContext,
): AllowedRequest | Promise<AllowedRequest> {
  if (!isRollback(asked)) return judgeInForce(exchange, { request: asked }, proxy);
  return judgeRollback(exchange, asked, proxy);
}

async function judgeRollback(
  exchange: Exchange,
  asked: JudgedRequest,
  proxy: ProxyContext,
): Promise<AllowedRequest> {
  const effect = await inForce(asked, (needs) => proxy.facts.resolve(needs, asked));
  if (effect.kind === 'refuse') throw new RequestRefused(effect.denials);
  const { request } = effect;
  return judgeInForce(
    exchange,
    effect.kind === 'missing' ? { request, missing: effect.service } : { request },
    proxy,
  );
}

interface InForce {
  readonly request: JudgedRequest;
  /** What it names and isn't there, as far as that is known already. */
  readonly missing?: string;
}

function judgeInForce(
  exchange: Exchange,
  asked: InForce,
  proxy: ProxyContext,
): AllowedRequest | Promise<AllowedRequest> {
  const { request } = asked;
  const rules = rulesOf(proxy.rules, request.route.name);
  const found = rules.some((rule) => needsFacts(rule, request))
    ? lookUp(rules, request, (needs) => proxy.facts.resolve(needs, request))
    : noFacts;
  if (found instanceof Promise) {
    return found.then((facts) => allow(exchange, asked, { rules, facts }, proxy));
  }
  const allowed = allow(exchange, asked, { rules, facts: found }, proxy);
  exchange.connection.earlier = repeatable(exchange.requireHead(), { asked: request, facts: found, allowed });
  return allowed;
}

function allow(
  exchange: Exchange,
  { request, missing }: InForce,
  { rules, facts }: { readonly rules: readonly Rule[]; readonly facts: Facts },
  proxy: ProxyContext,
): AllowedRequest {
  exchange.throwIfGone();
  const verdict = evaluate(rules, request, facts);
  exchange.findings.verdict = verdict;
  const image = namedImage(request);
  if (image !== undefined) exchange.findings.image = image;
  if (verdict.denials.length > 0) throw new RequestRefused(verdict.denials);
  const applied = verdict.sets.length === 0 ? request : apply(request, verdict.sets);
  const absent =
    missing ??
    (facts === noFacts ? undefined : missingContainer(request, facts, collectNeeds(rules, request)));
  return {
    ...asTheEngineGetsIt(request, applied, facts, proxy),
    verdict,
    ...(absent === undefined ? {} : { missing: absent }),
  };
}

/** The request with objects by their full ids and mounts by what they were found to be. */
function asTheEngineGetsIt(
  request: JudgedRequest,
  applied: JudgedRequest,
  facts: Facts,
  proxy: ProxyContext,
): Pick<AllowedRequest, 'request' | 'facts' | 'asked'> {
  if (facts === noFacts && request.route.name !== 'container.create') return { request: applied, facts };
  const named = nameInFull(request, applied, facts);
  const known = withSources(named.request, named.facts, proxy);
  const pinned = withPinnedBinds(named.request, known);
  const binds = askedBinds(request, named.request, pinned);
  return { request: pinned, facts: known, ...(binds === undefined ? {} : { asked: binds }) };
}

/** @throws RequestRefused when a missing source can't be made by the caller */
function withSources(request: JudgedRequest, facts: Facts, { hostPaths }: ProxyContext): Facts {
  if (hostPaths === undefined || request.route.name !== 'container.create') return facts;
  const made = makeMissingSources(request, facts, hostPaths);
  if (made.denials.length > 0) throw new RequestRefused(made.denials);
  return made.facts;
}

/** Rules for every route mostly ask for nothing: then nothing is awaited. */
function needsFacts(rule: Rule, request: JudgedRequest): boolean {
  const needs = rule.needs?.(request) ?? [];
  return needs.length > 0 || (rule.furtherNeeds?.(request, noFacts) ?? []).length > 0;
}

// The list of rules never changes while the proxy runs; which of them a route has is asked with every request.
const rulesByRoute = new WeakMap<readonly Rule[], Map<string, readonly Rule[]>>();

function rulesOf(rules: readonly Rule[], routeName: string): readonly Rule[] {
  let byRoute = rulesByRoute.get(rules);
  if (byRoute === undefined) {
    byRoute = new Map();
    rulesByRoute.set(rules, byRoute);
  }
  let found = byRoute.get(routeName);
  if (found === undefined) {
    found = rules.filter(({ routes }) => routes.includes(routeName) || routes.includes('*'));
    byRoute.set(routeName, found);
  }
  return found;
}
