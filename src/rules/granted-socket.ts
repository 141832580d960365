/**
 * The Docker socket that a container of an allowed image gets. Shared by the rule that grants it and by the approvals
 * that go with the container, so that both mean the same.
 */
import { textAt } from './json-pointer.js';
import type { Facts, JudgedRequest, Need, SocketImageFacts } from './rule.js';

/** What must be known before a socket can be granted; nothing while no image is listed. */
export function socketImageNeeds(request: JudgedRequest): readonly Need[] {
  const ref = textAt(request.body, '/Image');
  const { images } = request.settings.enhancedContainerIsolation.dockerSocketMount.imageList;
  if (request.route.name !== 'container.create' || ref === '' || images.length === 0) return [];
  return [{ kind: 'socket-image', ref }];
}

/** The allowed image of a container that the request makes; undefined when its image isn't allowed. */
export function grantedImage(request: JudgedRequest, facts: Facts): SocketImageFacts | undefined {
  if (socketImageNeeds(request).length === 0) return undefined;
  const image = facts.socketImage?.(textAt(request.body, '/Image'));
  return image?.allowed === true ? image : undefined;
}
