/**
 * The rule `socket-holders`: a container with a granted Docker socket lends it to nobody. Its volumes, namespaces and
 * file system can't be taken over by a container or an image that the administrator didn't allow.
 */
import { findingsOf } from './finding.js';
import type { Rule } from './rule.js';
import { furtherTouchedNeeds, touchedContainers, touchedNeeds } from './touched-containers.js';

const setting = 'enhancedContainerIsolation.dockerSocketMount.imageList';
const { deny } = findingsOf('socket-holders', setting);

/** What each route would make of the socket holder. */
const purposes: Readonly<Record<string, string>> = {
  'container.create': 'sharing a namespace or the volumes of',
  'image.build': 'sharing a namespace of',
  'image.commit': 'making an image from',
  'container.archive-put': 'writing files into',
};

export const socketHolders: Rule = {
  id: 'socket-holders',
  summary:
    'A container with a granted Docker socket can’t be joined, committed or written into: the socket is granted to its image alone.',
  setting,
  whenIsolationIsOff: 'rests',
  routes: Object.keys(purposes),
  needs: touchedNeeds,
  furtherNeeds: furtherTouchedNeeds,
  judge: (request, facts) =>
    touchedContainers(request, facts)
      .filter(({ container }) => container.socketGranted)
      .map(({ field, container }) =>
        deny(
          field,
          `${purposes[request.route.name] ?? 'using'} ${container.name} is refused: it holds a granted Docker socket`,
          'Use a container without the socket.',
        ),
      ),
};
