/**
 * Heads that were parsed before. What a client asks again and again has the same head to the byte, and so has what the
 * engine answers within a second; what a head means follows from its text alone. It must never keep a credential.
 */
import { type AnswerHead, parseAnswerHead } from './answer-head.js';
import { parseRequestHead, type RequestHead } from './head.js';

/** How many heads are kept, and how long they may be, in bytes. */
const keptHeads = 256;
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

const requests = new Map<string, RequestHead>();
const answers = new Map<string, AnswerHead>();
const answersToHead = new Map<string, AnswerHead>();

function keep<Head>(heads: Map<string, Head>, text: string, head: Head): void {
  if (text.length > keptBytes) return;
  if (heads.size >= keptHeads) heads.clear();
  heads.set(text, head);
}

/** As `parseRequestHead`. */
export function readRequestHead(text: string): RequestHead {
  const known = requests.get(text);
  if (known !== undefined) return known;
  const head = parseRequestHead(text);
  if (head.fields.every(({ key }) => keptFields.has(key))) keep(requests, text, head);
  return head;
}

/** As `parseAnswerHead`. */
export function readAnswerHead(text: string, method: string): AnswerHead {
  const heads = method === 'HEAD' ? answersToHead : answers;
  const known = heads.get(text);
  if (known !== undefined) return known;
  const head = parseAnswerHead(text, method);
  keep(heads, text, head);
  return head;
}
