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

/** A head, and the bytes that it was read from where they are kept: the same bytes again mean the same head. */
export interface ReadHead<Head> {
  readonly head: Head;
  readonly bytes?: Buffer;
}

type KeptHead<Head> = Required<ReadHead<Head>>;

const requests = new TextMemory<KeptHead<RequestHead>>(keptBytes);
const answers = new TextMemory<KeptHead<AnswerHead>>(keptBytes);
const answersToHead = new TextMemory<KeptHead<AnswerHead>>(keptBytes);

/**
 * The head of a client's request, from its bytes up to the empty line.
 * @throws ProxyError as `parseRequestHead`
 */
export function readRequestHead(bytes: Buffer): ReadHead<RequestHead> {
  const text = bytes.toString('latin1');
  const known = requests.get(text);
  if (known !== undefined) return known;
  const head = parseRequestHead(text);
  if (text.length > keptBytes || !head.fields.every(({ key }) => keptFields.has(key))) return { head };
  const kept = { head, bytes: Buffer.from(bytes) };
  requests.keep(text, kept);
  return kept;
}

/** The answer that was read last: with the same date, others begin alike. */
let lastAnswer: KeptHead<AnswerHead> | undefined;

/**
 * The head of an answer to this method, where it is the one that was read last.
 * @param bytes what came in so far, from the answer's first byte
 */
export function lastAnswerHead(bytes: Buffer, method: string): KeptHead<AnswerHead> | undefined {
  if (lastAnswer === undefined || method === 'HEAD') return undefined;
  const { length } = lastAnswer.bytes;
  const same = bytes.length >= length && lastAnswer.bytes.compare(bytes, 0, length) === 0;
  return same ? lastAnswer : undefined;
}

/**
 * The head of an answer to this method, from its bytes up to the empty line.
 * @throws MalformedHead as `parseAnswerHead`
 */
export function readAnswerHead(bytes: Buffer, method: string): AnswerHead {
  const heads = method === 'HEAD' ? answersToHead : answers;
  const text = bytes.toString('latin1');
  let kept = heads.get(text);
  if (kept === undefined) {
    const head = parseAnswerHead(text, method);
    if (text.length > keptBytes) return head;
    kept = { head, bytes: Buffer.from(bytes) };
    heads.keep(text, kept);
  }
  if (heads === answers) lastAnswer = kept;
  return kept.head;
}
