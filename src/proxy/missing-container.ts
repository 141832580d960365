/**
 * Requests about a container that isn't there, and rollbacks of a service that isn't. The engine gets them with an id
 * that was never given to anything, and its own refusal, with the client's word put back, is what the client gets:
 * whatever takes the name between our look and the engine's is never touched, because nobody has judged it.
 */
import { randomBytes } from 'node:crypto';
import type { JudgedRequest } from '../rules/rule.js';
import type { GivenName } from './given-name.js';

/** A request with its missing object replaced, and what the engine's error is to say instead. */
export interface StandIn {
  readonly request: JudgedRequest;
  readonly givenName: GivenName;
}

/**
 * Puts an id that can't exist in the place of the name of a container, or of a service, that isn't there.
 * @param given the object as the client named it
 */
export function withStandIn(request: JudgedRequest, given: string): StandIn {
  // As many bits as the engine's own ids have: nobody can make a container of this name before it is used.
  const id = randomBytes(32).toString('hex');
  const named =
    request.route.name === 'image.commit'
      ? { ...request, query: new Map([...request.query, ['container', [id]]]) }
      : { ...request, params: { ...request.params, id } };
  return { request: named, givenName: { id, given, invented: true } };
}
