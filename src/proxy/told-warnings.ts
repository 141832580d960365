/**
 * Tells the client what the rules only warn about, where Docker's answers have a place for it: the command line prints
 * it. It must never touch an answer that isn't a success in JSON, nor change how the end of an answer is known.
 */
import { z } from 'zod';
import type { Warning } from '../rules/rule.js';
import { type AnswerHead, withContent } from './answer-head.js';
import { type AnswerReader, shortAnswer, type WholeAnswer } from './answer-reader.js';
import type { AllowedRequest } from './judge.js';

/** Warnings for a client, and the key of the answer that carries them. */
interface ToldWarnings {
  readonly key: 'Warnings' | 'Warning';
  readonly texts: readonly string[];
}

/** Endpoints whose answers carry warnings (moby api/swagger.yaml): a list of texts, or one text. */
const places: ReadonlyMap<string, ToldWarnings['key']> = new Map([
  ['container.create', 'Warnings'],
  ['container.update', 'Warnings'],
  ['service.create', 'Warnings'],
  ['service.update', 'Warnings'],
  ['network.create', 'Warning'],
]);

const answerSchema = z.looseObject({
  Warnings: z.array(z.string()).nullish(),
  Warning: z.string().optional(),
});

/** Reads a success for what the client is to be told; absent when there is nothing, or no place for it. */
export function warningsReader({ request, verdict }: AllowedRequest): AnswerReader | undefined {
  const key = places.get(request.route.name);
  if (key === undefined || verdict.warnings.length === 0) return undefined;
  const told: ToldWarnings = { key, texts: verdict.warnings.map(sentence) };
  return {
    limit: (status) => (status < 300 ? shortAnswer : 0),
    read: (answer) => withToldWarnings(answer, told),
  };
}

function sentence({ rule, field, reason }: Warning): string {
  return `enhanced container isolation: ${reason} (rule ${rule} at ${field})`;
}

/** An answer with the warnings in it; `undefined` when it has no place for them. */
function withToldWarnings(
  { head, content }: WholeAnswer,
  { key, texts }: ToldWarnings,
): [head: AnswerHead, body: Buffer] | undefined {
  const answer = readAnswer(content);
  if (answer === undefined) return undefined;
  const told =
    key === 'Warnings'
      ? { ...answer, Warnings: [...(answer.Warnings ?? []), ...texts] }
      : { ...answer, Warning: [answer.Warning ?? '', ...texts].filter((text) => text !== '').join('\n') };
  return withContent(head, Buffer.from(`${JSON.stringify(told)}\n`));
}

function readAnswer(content: Buffer): z.infer<typeof answerSchema> | undefined {
  try {
    const parsed = answerSchema.safeParse(JSON.parse(content.toString('utf8')));
    return parsed.success ? parsed.data : undefined;
  } catch {
    // The engine's answer, whatever it is, is the client's.
    return undefined;
  }
}
