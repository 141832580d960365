/**
 * What the last request on a connection was found to be, for the next one that is the same to the byte: clients that
 * watch something ask it again and again. A judgement follows from the request, its caller, the settings, what the
 * engine can do, and the facts that were looked up; it is made anew as soon as one of these isn't the very same. Only
 * for requests that read: anything else is judged each time.
 */
import { noFacts } from '../rules/no-facts.js';
import type { EngineFacts, Facts, JudgedRequest } from '../rules/rule.js';
import { volumeUses } from '../rules/volume-uses.js';
import type { ProxyContext } from './context.js';
import type { Exchange } from './exchange.js';
import type { RequestHead } from './head.js';
import type { AllowedRequest } from './judge.js';
import type { Way } from './repeat.js';

interface Judgement {
  readonly asked: JudgedRequest;
  /** The facts that it rests on. */
  readonly facts: Facts;
  readonly allowed: AllowedRequest;
}

export interface EarlierJudgement extends Judgement {
  readonly head: RequestHead;
  /** How it was sent, where it needs no more than to be sent again. */
  way?: Way;
}

/** What may be judged alike the next time; undefined for requests that are judged each time. */
export function repeatable(head: RequestHead, judgement: Judgement): EarlierJudgement | undefined {
  const { asked } = judgement;
  const reads = head.method === 'GET' || head.method === 'HEAD';
  const bare = head.framing.kind === 'none' && asked.body === undefined;
  // Requests about volumes take their turns, and are judged when it is theirs.
  return reads && bare && volumeUses(asked) === undefined ? { ...judgement, head } : undefined;
}

/**
 * The judgement of the last request on the connection, where it holds for this one. Heads that are the same to the byte
 * are one object, or else count as different.
 */
export function holding(
  { connection, head }: Exchange,
  engine: EngineFacts,
  { settings, facts }: Pick<ProxyContext, 'settings' | 'facts'>,
): EarlierJudgement | undefined {
  const { earlier } = connection;
  if (earlier === undefined || earlier.head !== head) return undefined;
  if (earlier.asked.settings !== settings.current || earlier.asked.engine !== engine) return undefined;
  return earlier.facts === noFacts || facts.stillHold?.(earlier.facts) === true ? earlier : undefined;
}
