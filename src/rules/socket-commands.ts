/**
 * The rule `socket-commands`: what a container may ask for over its Docker socket. Only a container that was granted
 * one may ask at all, as long as its image is on the list, and within the command list. Who asks is told by the kernel:
 * every process of an isolated container has ids of that container's own range.
 */

import { stringifyQuery } from '../engine/query.js';
import { canonicalPath } from '../engine/routes.js';
import { blockedBy, callersImage, mayNotPush } from './command-lists.js';
import { openRoutes } from './command-routes.js';
import { findingsOf, warnInstead } from './finding.js';
import type { Denial, Facts, Finding, JudgedRequest, Need, Rule } from './rule.js';

const setting = 'enhancedContainerIsolation.dockerSocketMount';
const { deny, warn } = findingsOf('socket-commands', setting);

export const socketCommands: Rule = {
  id: 'socket-commands',
  summary:
    'Over a granted Docker socket the command list holds, for `curl` as well; a container without a grant, or whose image is not on the list any more, gets nothing.',
  setting,
  whenIsolationIsOff: 'judges',
  routes: ['*'],
  needs: ({ caller }) =>
    caller.container === undefined ? [] : [{ kind: 'container', ref: caller.container }],
  furtherNeeds: imageNeeds,
  judge: (request, facts) => (request.caller.container === undefined ? [] : judgeContainer(request, facts)),
};

function imageNeeds({ caller }: JudgedRequest, facts: Facts): readonly Need[] {
  const container = caller.container === undefined ? undefined : facts.container(caller.container);
  return container?.socketGranted === true ? [{ kind: 'socket-image', ref: container.image }] : [];
}

function judgeContainer(request: JudgedRequest, facts: Facts): readonly Finding[] {
  const container = facts.container(request.caller.container ?? '');
  if (container?.socketGranted !== true) {
    return [
      deny(
        'path',
        'this container was not granted a Docker socket',
        'Use an image that may mount the socket.',
      ),
    ];
  }
  const image = facts.socketImage?.(container.image);
  if (image?.allowed !== true) {
    // The version is agreed on by a ping; without one, older engines would answer with a complaint about versions.
    if (openRoutes.has(request.route.name)) return [];
    const reason = `the image of ${container.name} may not use the Docker socket any more`;
    return [deny('path', reason, 'Ask your administrators to list it in imageList.')];
  }
  const findings: Finding[] = image.warning === undefined ? [] : [warn('path', image.warning)];
  const mode = blockedBy(request, image);
  if (mode === undefined) return findings;
  const denial = blocked(request);
  return [...findings, mode === 'warn' ? warnInstead(denial, 'the list’s mode is "warn"') : denial];
}

/**
 * Why a container's build may not push, where it may not: a build that pushes is a push. A list that only warns stops
 * none.
 */
export function pushRefusal(
  request: JudgedRequest,
  facts: Facts,
): { readonly text: string; readonly setting: string } | undefined {
  if (request.caller.container === undefined || !mayNotPush(request, callersImage(request, facts)))
    return undefined;
  return { text: blockedText('push'), setting: `${setting}.commandList` };
}

function blockedText(command: string): string {
  return `enhanced container isolation: docker command ${JSON.stringify(command)} is blocked; if you wish to allow it, configure the docker socket command list in the cofferdam settings.`;
}

function blocked(request: JudgedRequest): Denial {
  const query = stringifyQuery(request.query);
  const path = canonicalPath({ route: request.route, params: request.params }, request.apiVersion);
  const uri = query === '' ? path : `${path}?${query}`;
  return deny('path', `the command ${uri} is blocked`, 'Ask your administrators.', {
    text: blockedText(uri),
  });
}
