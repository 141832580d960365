/**
 * The rule `socket-holders`: a container with a granted Docker socket lends it to nobody. Its volumes, namespaces and
 * file system can't be taken over by a container or an image that the administrator didn't allow, and no container
 * works inside of it but the one that had it made.
 */
import { findingsOf } from './finding.js';
import type { ContainerFacts, JudgedRequest, Rule } from './rule.js';
import { furtherTouchedNeeds, touchedContainers, touchedNeeds } from './touched-containers.js';

const setting = 'enhancedContainerIsolation.dockerSocketMount.imageList';
const { deny } = findingsOf('socket-holders', setting);

/** What each route would make of the socket holder. */
const purposes: Readonly<Record<string, string>> = {
  'container.create': 'sharing a namespace or the volumes of',
  'image.build': 'sharing a namespace of',
  'image.commit': 'making an image from',
};

/** What people may do, with their own rights, and a container only where it had the holder made. */
const entering: Readonly<Record<string, string>> = {
  'container.archive-put': 'writing files into',
  'container.attach': 'attaching to',
  'container.attach-websocket': 'attaching to',
  'exec.create': 'running a command in',
  'exec.start': 'running a command in',
};

export const socketHolders: Rule = {
  id: 'socket-holders',
  summary:
    'A container with a granted Docker socket can’t be joined or committed, and no container enters, attaches to or writes into it but itself and the one that had it made: the socket is granted to its image alone.',
  setting,
  whenIsolationIsOff: 'rests',
  routes: [...Object.keys(purposes), ...Object.keys(entering)],
  needs: touchedNeeds,
  furtherNeeds: furtherTouchedNeeds,
  judge: (request, facts) =>
    touchedContainers(request, facts)
      .filter(({ container }) => container.socketGranted && !mayWorkIn(request, container))
      .map(({ field, container }) =>
        deny(
          field,
          `${purposes[request.route.name] ?? entering[request.route.name] ?? 'using'} ${container.name} is refused: it holds a granted Docker socket`,
          'Use a container without the socket.',
        ),
      ),
};

/** Who runs commands in a holder has what it may do: its maker has no less, another container may have. */
function mayWorkIn({ caller, route }: JudgedRequest, { id, owner }: ContainerFacts): boolean {
  if (entering[route.name] === undefined) return false;
  return caller.container === undefined || [id, owner?.container].includes(caller.container);
}
