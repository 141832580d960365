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

/** Whether a container with this image may not ask for this. */
export function isBlocked(request: JudgedRequest, image: SocketImageFacts | undefined): boolean {
  const route = request.route.name;
  if (openRoutes.has(route)) return false;
  const imports = (request.query.get('fromImage')?.[0] ?? '') === '';
  if (blocks(request, image, { route, imports })) return true;
  return pushesBuild(request) && mayNotPush(request, image);
}

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
  return isBlocked(request, image) || (request.route.name === 'build.grpc' && mayNotPush(request, image));
}

/** Whether a container with this image may not push, by whatever request. */
export function mayNotPush(request: JudgedRequest, image: SocketImageFacts | undefined): boolean {
  return blocks(request, image, { route: 'image.push', imports: false });
}

function blocks(request: JudgedRequest, image: SocketImageFacts | undefined, use: CommandUse): boolean {
  const { perImage, commandList } = request.settings.enhancedContainerIsolation.dockerSocketMount;
  return boundsOf(request, image).some((entry) =>
    listBlocks(perImage.find((own) => own.image === entry)?.commandList ?? commandList, use),
  );
}

/** Whether a command list blocks a request. */
export function listBlocks({ type, commands }: CommandList, use: CommandUse): boolean {
  const named = commands.some((name) => commandCovers(name, use, type));
  return type === 'deny' ? named : !named;
}
