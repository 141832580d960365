/**
 * Turns what the registry settings say into a rule's denial. Shared by the registry rules, so that all of them use the
 * same words.
 */
import { judgeRegistry, judgeUrl, type RegistryAction, type RegistryRefusal } from '../registry/policy.js';
import { type Reference, ReferenceProblem } from '../registry/reference.js';
import type { Denial, JudgedRequest } from './rule.js';

/** The denial of a rule for a refusal of the registry settings. */
export function registryDenial(rule: string, field: string, refusal: RegistryRefusal): Denial {
  return {
    kind: 'deny',
    rule,
    field,
    reason: `${refusal.target} is not among what the settings list`,
    setting: refusal.setting,
    remedy: refusal.remedy,
    text: refusal.text,
  };
}

/** True while the settings restrict anything about registries or Docker Hub's images. */
export function restrictsRegistries(request: JudgedRequest): boolean {
  return request.settings.registryAccess.value || request.settings.imageAccess.value;
}

/**
 * Judges the reference that `parse` reads; a text that the engine would refuse is refused here (400), because it
 * can't be compared with the list.
 */
export function judgeReference(
  rule: string,
  field: string,
  action: RegistryAction,
  request: JudgedRequest,
  parse: () => Reference,
): readonly Denial[] {
  if (!restrictsRegistries(request)) return [];
  try {
    const refusal = judgeRegistry(parse(), action, request.settings);
    return refusal === undefined ? [] : [registryDenial(rule, field, refusal)];
  } catch (error) {
    if (!(error instanceof ReferenceProblem)) throw error;
    return [
      {
        kind: 'deny',
        rule,
        field,
        reason: error.message,
        setting: 'none',
        remedy: 'Write the image as [HOST[:PORT]/]NAME[:TAG|@DIGEST].',
        status: 400,
        text: error.message,
      },
    ];
  }
}

/** Judges an address that the engine would fetch from. */
export function judgeAddress(
  rule: string,
  field: string,
  url: string,
  request: JudgedRequest,
): readonly Denial[] {
  const refusal = judgeUrl(url, request.settings);
  return refusal === undefined ? [] : [registryDenial(rule, field, refusal)];
}

/** The first value of a query parameter, empty when it is absent: what Go's `Form.Get` gives. */
export function queryValue(request: JudgedRequest, name: string): string {
  return request.query.get(name)?.[0] ?? '';
}
