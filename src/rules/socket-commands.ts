/**
 * The rule `socket-commands`: what a container may ask for over its Docker socket. Only a container that was granted
 * one may ask at all, as long as its image is on the list, and within the command list. Who asks is told by the kernel:
 * every process of an isolated container has ids of that container's own range.
 */

import { stringifyQuery } from '../engine/query.js';
import { canonicalPath } from '../engine/routes.js';
import { pushes } from '../registry/buildkit/exchange.js';
import type { CommandList } from '../settings/schema.js';
import { readBuildOutputs } from './build-outputs.js';
import { type CommandUse, commandCovers, openRoutes } from './command-routes.js';
import { findingsOf } from './finding.js';
import type { Facts, Finding, JudgedRequest, Need, Rule } from './rule.js';

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
  return isBlocked(request, image.entry) ? [...findings, blocked(request)] : findings;
}

/** The list of the image's own entry, else the general one. */
function commandList(request: JudgedRequest, entry: string | undefined): CommandList {
  const { perImage, commandList: general } = request.settings.enhancedContainerIsolation.dockerSocketMount;
  return perImage.find(({ image }) => image === entry)?.commandList ?? general;
}

function isBlocked(request: JudgedRequest, entry: string | undefined): boolean {
  const route = request.route.name;
  if (openRoutes.has(route)) return false;
  const imports = (request.query.get('fromImage')?.[0] ?? '') === '';
  const list = commandList(request, entry);
  return blocks(list, { route, imports }) || (pushesBuild(request) && blocks(list, push));
}

const push: CommandUse = { route: 'image.push', imports: false };

/** A build whose result goes to a registry is a push, and so is one of which that can't be told. */
function pushesBuild(request: JudgedRequest): boolean {
  if (request.route.name !== 'image.build') return false;
  return readBuildOutputs(request)?.some(({ attributes }) => pushes(attributes)) ?? true;
}

function blocks({ type, commands }: CommandList, use: CommandUse): boolean {
  const named = commands.some((name) => commandCovers(name, use));
  return type === 'deny' ? named : !named;
}

/**
 * Why a container's build may not push: a build that pushes is a push. Where lists differ by image the strictest
 * counts, because a build's connection doesn't tell which entry its container has.
 */
export function pushRefusal(
  request: JudgedRequest,
): { readonly text: string; readonly setting: string } | undefined {
  if (request.caller.container === undefined) return undefined;
  const { perImage, commandList: general } = request.settings.enhancedContainerIsolation.dockerSocketMount;
  const lists = [general, ...perImage.map((entry) => entry.commandList)];
  if (!lists.some((list) => blocks(list, push))) return undefined;
  return { text: blockedText('push'), setting: `${setting}.commandList` };
}

function blockedText(command: string): string {
  return `enhanced container isolation: docker command ${JSON.stringify(command)} is blocked; if you wish to allow it, configure the docker socket command list in the cofferdam settings.`;
}

function blocked(request: JudgedRequest): Finding {
  const query = stringifyQuery(request.query);
  const path = canonicalPath({ route: request.route, params: request.params }, request.apiVersion);
  const uri = query === '' ? path : `${path}?${query}`;
  return deny('path', `the command ${uri} is blocked`, 'Ask your administrators.', {
    text: blockedText(uri),
  });
}
