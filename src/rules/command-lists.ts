/**
 * Which command lists hold for a container that uses its Docker socket: its image's own or the general one, and those
 * of the containers that had it made, so that nothing gains by having another container ask for it.
 */
import { pushes } from '../registry/buildkit/exchange.js';
import type { CommandList } from '../settings/schema.js';
import { readBuildOutputs } from './build-outputs.js';
import { type CommandUse, commandCovers, openRoutes } from './command-routes.js';
import type { Facts, JudgedRequest, SocketImageFacts } from './rule.js';

/** Stands for the general list among the entries of `perImage`. */
const general = '';

/** The image of the container that asks; undefined for people, and where nothing is known of it. */
export function callersImage({ caller }: JudgedRequest, facts: Facts): SocketImageFacts | undefined {
  const container = caller.container === undefined ? undefined : facts.container(caller.container);
  return container && facts.socketImage?.(container.image);
}

/**
 * What goes with a container that the request makes: by whose lists it is bound for good. Undefined for people's
 * containers, which are bound by their own alone.
 */
export function boundsOfMade(request: JudgedRequest, facts: Facts): readonly string[] | undefined {
  if (request.caller.container === undefined) return undefined;
  return boundsOf(request, callersImage(request, facts));
}

function boundsOf({ caller }: JudgedRequest, image: SocketImageFacts | undefined): readonly string[] {
  return [...new Set([image?.commandEntry ?? general, ...(caller.bounds ?? [])])];
}

/** Whether a container with this image may not ask for this: by a list that is enforced, or by one that only warns. */
export function blockedBy(
  request: JudgedRequest,
  image: SocketImageFacts | undefined,
): CommandList['mode'] | undefined {
  const route = request.route.name;
  if (openRoutes.has(route)) return undefined;
  const imports = (request.query.get('fromImage')?.[0] ?? '') === '';
  const modes = [
    ...blockingModes(request, image, { route, imports }),
    ...(pushesBuild(request) ? blockingModes(request, image, push) : []),
  ];
  return modes.includes('enforce') ? 'enforce' : modes[0];
}

const push: CommandUse = { route: 'image.push', imports: false };

/** A build whose result goes to a registry is a push, and so is one of which that can't be told. */
function pushesBuild(request: JudgedRequest): boolean {
  if (request.route.name !== 'image.build') return false;
  return readBuildOutputs(request)?.some(({ attributes }) => pushes(attributes)) ?? true;
}

/**
 * Whether a request that is under way must end under settings that have changed since.
 * @param request with the settings of now
 */
export function mustEnd(request: JudgedRequest, image: SocketImageFacts): boolean {
  // A build's calls were to be judged by the lists of its beginning.
  if (blockedBy(request, image) === 'enforce') return true;
  return request.route.name === 'build.grpc' && mayNotPush(request, image);
}

/** Whether a list that is enforced keeps a container with this image from pushing, by whatever request. */
export function mayNotPush(request: JudgedRequest, image: SocketImageFacts | undefined): boolean {
  return blockingModes(request, image, push).includes('enforce');
}

/** The modes of the lists that block a use. */
function blockingModes(
  request: JudgedRequest,
  image: SocketImageFacts | undefined,
  use: CommandUse,
): readonly CommandList['mode'][] {
  const { perImage, commandList } = request.settings.enhancedContainerIsolation.dockerSocketMount;
  return boundsOf(request, image)
    .map((entry) => perImage.find((own) => own.image === entry)?.commandList ?? commandList)
    .filter((list) => listBlocks(list, use))
    .map(({ mode }) => mode);
}

/** Whether a command list blocks a request. */
export function listBlocks({ type, commands }: CommandList, use: CommandUse): boolean {
  const named = commands.some((name) => commandCovers(name, use, type));
  return type === 'deny' ? named : !named;
}
