/**
 * What `POST /build` with BuildKit is to make of its result: the query's `outputs`, a JSON list in a text (moby
 * daemon/server/router/build). Read strictly: the rule `build-options` refuses a list that two readers could read in
 * two ways, so that the others may take an unclear one for empty.
 */
import { z } from 'zod';
import { JsonProblem, parseGoJson } from '../engine/json.js';
import type { JudgedRequest } from './rule.js';

export interface BuildOutput {
  readonly type: string;
  /** Attributes of the exporter: `name`, `push`, `dest`. */
  readonly attributes: readonly (readonly [string, string])[];
}

// Go takes keys in any case: so other spellings are refused.
const outputsSchema = z
  .array(z.strictObject({ Type: z.string().default(''), Attrs: z.record(z.string(), z.string()).nullish() }))
  .nullable();

/** The outputs; `undefined` when they can't be read for sure. */
export function readBuildOutputs(request: JudgedRequest): readonly BuildOutput[] | undefined {
  const text = request.query.get('outputs')?.[0] ?? '';
  if (text === '') return [];
  const parsed = outputsSchema.safeParse(readJson(text));
  if (!parsed.success) return undefined;
  return (parsed.data ?? []).map(({ Type, Attrs }) => ({
    type: Type,
    attributes: Object.entries(Attrs ?? {}),
  }));
}

/** The outputs, as far as they can be read. */
export function buildOutputs(request: JudgedRequest): readonly BuildOutput[] {
  return readBuildOutputs(request) ?? [];
}

function readJson(text: string): unknown {
  try {
    return parseGoJson(Buffer.from(text));
  } catch (error) {
    if (error instanceof JsonProblem) return undefined;
    throw error;
  }
}
