/**
 * Remembers whose an exec is from the engine's answer to its create, so that its start needn't ask first. An exec
 * belongs to one container for good, and its id is never given again. It must never learn an exec from anything but
 * that answer: one that it doesn't know is asked for.
 */
import { createdSchema } from '../engine/client-answers.js';
import type { JudgedRequest } from '../rules/rule.js';
import { type AnswerReader, shortAnswer } from './answer-reader.js';
import type { LookUp } from './context.js';

const fullId = /^[0-9a-f]{64}$/;

/** Reads the answer to a judged `exec.create`, which names its container by the full id. */
export function execNote({ params }: JudgedRequest, facts: Pick<LookUp, 'noteExec'>): AnswerReader {
  const container = params['id'] ?? '';
  return {
    limit: (status) => (status === 201 ? shortAnswer : 0),
    read: ({ content }) => {
      const execId = createdId(content);
      if (execId !== undefined && fullId.test(container)) facts.noteExec(execId, container);
      return undefined;
    },
  };
}

/** What can't be read is passed on all the same: then the start asks. */
function createdId(content: Buffer): string | undefined {
  try {
    return createdSchema.parse(JSON.parse(content.toString('utf8'))).Id;
  } catch {
    return undefined;
  }
}
