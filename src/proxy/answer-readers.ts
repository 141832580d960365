/** Which readers a request's answer has. */
import type { JudgedRequest } from '../rules/rule.js';
import { AllocatorError } from '../uid-allocator/errors.js';
import type { AskedBinds } from '../uid-allocator/record.js';
import type { AnswerReader } from './answer-reader.js';
import { askedBindsReader } from './asked-binds.js';
import type { ProxyContext } from './context.js';
import { clientsWord } from './given-name.js';
import type { AllowedRequest } from './judge.js';
import { execNote } from './made-exec.js';
import type { RoutedRequest } from './route-request.js';
import { warningsReader } from './told-warnings.js';

/** What reads the answer to an allowed request, where something does; each for statuses of its own. */
export function readersOf(
  { route, match }: RoutedRequest,
  allowed: AllowedRequest,
  proxy: Pick<ProxyContext, 'facts' | 'ledger'>,
): readonly AnswerReader[] {
  const { request } = allowed;
  return [
    givenName(match.params['id'], request),
    warningsReader(allowed),
    route.name === 'exec.create' ? execNote(request, proxy.facts) : undefined,
    route.name === 'container.inspect' ? askedBindsReader((id) => askedFor(id, proxy)) : undefined,
  ].filter((reader) => reader !== undefined);
}

/** Where the engine got another word for the container than the client's. */
function givenName(given: string | undefined, { params }: JudgedRequest): AnswerReader | undefined {
  const id = params['id'];
  return given === undefined || id === undefined || given === id ? undefined : clientsWord({ id, given });
}

/** A record that can't be believed keeps nobody from looking at its container. */
function askedFor(id: string, { ledger }: Pick<ProxyContext, 'ledger'>): AskedBinds | undefined {
  try {
    return ledger.read(id)?.asked;
  } catch (error) {
    if (error instanceof AllocatorError) return undefined;
    throw error;
  }
}
