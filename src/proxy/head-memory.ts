/**
 * Heads that were parsed before. What a client asks again and again has the same head to the byte, and so has what the
 * engine answers within a second; what a head means follows from its text alone. It must never keep a credential.
 */
import { type AnswerHead, parseAnswerHead } from './answer-head.js';
import { parseRequestHead, type RequestHead } from './head.js';
import { TextMemory } from './text-memory.js';

/** Longest head that is kept, in bytes. */
const keptBytes = 512;

/** Fields that have nothing of a user's in them: a request with any other is parsed each time. */
const keptFields: ReadonlySet<string> = new Set([
  'accept',
  'accept-encoding',
  'connection',
  'content-length',
  'content-type',
  'host',
  'user-agent',
]);

const requests = new TextMemory<RequestHead>(keptBytes);
const answers = new TextMemory<AnswerHead>(keptBytes);
const answersToHead = new TextMemory<AnswerHead>(keptBytes);

/** As `parseRequestHead`. */
export function readRequestHead(text: string): RequestHead {
  const known = requests.get(text);
  if (known !== undefined) return known;
  const head = parseRequestHead(text);
  if (head.fields.every(({ key }) => keptFields.has(key))) requests.keep(text, head);
  return head;
}

/** As `parseAnswerHead`. */
export function readAnswerHead(text: string, method: string): AnswerHead {
  const heads = method === 'HEAD' ? answersToHead : answers;
  const known = heads.get(text);
  if (known !== undefined) return known;
  const head = parseAnswerHead(text, method);
  heads.keep(text, head);
  return head;
}
