/**
 * What other settings would have said to a request of the audit log. A record tells who asked for what, never the
 * body: so this speaks of registries, Docker Hub images, sockets and their commands, and images from files, and of
 * nothing else. Pure.
 */
import { judgeRegistry } from '../registry/policy.js';
import { parseReference } from '../registry/reference.js';
import { isTrustedName } from '../registry/trusted-names.js';
import { listBlocks } from '../rules/command-lists.js';
import { openRoutes } from '../rules/command-routes.js';
import { enforcedLists } from '../settings/modes.js';
import type { Settings } from '../settings/schema.js';
import type { ObservedRequest } from './observations.js';

/** The rules that this can speak for. A request that another rule refused stays refused. */
const replayedRules: ReadonlySet<string> = new Set([
  'registry-pull',
  'registry-push',
  'image-import',
  'socket-mounts',
  'socket-commands',
]);

/** A request whose verdict would be another one. */
export interface ChangedVerdict {
  readonly request: ObservedRequest;
  readonly now: 'refused' | 'allowed';
  /** Why it would be refused; absent when it would be allowed. */
  readonly reason?: string;
}

function judgeImage({ line }: ObservedRequest, settings: Settings): string | undefined {
  const action = line.route === 'image.pull' ? 'pull' : line.route === 'image.push' ? 'push' : undefined;
  if (action === undefined || line.image === undefined) return undefined;
  try {
    return judgeRegistry(parseReference(line.image), action, settings)?.text;
  } catch {
    // What isn't a reference reaches no registry.
    return undefined;
  }
}

function judgeFile({ line }: ObservedRequest, settings: Settings): string | undefined {
  const fromFile = line.route === 'image.load' || (line.route === 'image.pull' && line.image === undefined);
  return fromFile && settings.blockDockerLoad.value ? 'blockDockerLoad.value is true' : undefined;
}

function mayHaveSocket(settings: Settings, image: string): boolean {
  const { images } = settings.enhancedContainerIsolation.dockerSocketMount.imageList;
  return images.includes('*') || isTrustedName(settings, image);
}

function judgeSocket({ line, wantsSocket }: ObservedRequest, settings: Settings): string | undefined {
  if (!wantsSocket || line.image === undefined || !settings.enhancedContainerIsolation.value)
    return undefined;
  return mayHaveSocket(settings, line.image) ? undefined : `${line.image} is not on imageList`;
}

function judgeCommand({ line, callerImage }: ObservedRequest, settings: Settings): string | undefined {
  const route = line.route ?? '';
  if (callerImage === undefined || openRoutes.has(route)) return undefined;
  if (!mayHaveSocket(settings, callerImage)) return `${callerImage} is not on imageList`;
  const { perImage, commandList } = settings.enhancedContainerIsolation.dockerSocketMount;
  const own = perImage.find(({ image }) => imageMatches(settings, image, callerImage));
  const use = { route, imports: route === 'image.pull' && line.image === undefined };
  const list = own?.commandList ?? commandList;
  const blocked = list.mode === 'enforce' && listBlocks(list, use);
  return blocked ? `the command list blocks ${route} for ${callerImage}` : undefined;
}

/** Whether an entry of the list stands for an image: asked of settings that list nothing else. */
function imageMatches(settings: Settings, entry: string, image: string): boolean {
  const isolation = settings.enhancedContainerIsolation;
  const { dockerSocketMount } = isolation;
  const only = { ...dockerSocketMount, imageList: { ...dockerSocketMount.imageList, images: [entry] } };
  return mayHaveSocket(
    { ...settings, enhancedContainerIsolation: { ...isolation, dockerSocketMount: only } },
    image,
  );
}

/** How the verdict on a request would change under other settings; `undefined` when it would stay. */
export function replay(request: ObservedRequest, settings: Settings): ChangedVerdict | undefined {
  const lists = enforcedLists(settings);
  const reason =
    judgeImage(request, lists) ??
    judgeFile(request, lists) ??
    judgeSocket(request, settings) ??
    judgeCommand(request, settings);
  const { line } = request;
  if (line.verdict !== 'denied')
    return reason === undefined ? undefined : { request, now: 'refused', reason };
  // Rules that rewrite stand in a refusal's record as well; those that can't be replayed may be what refused it.
  const rewriting = line.rewritten.length > 0 ? ['runtime', 'user-namespace'] : [];
  const others = line.rules.filter((rule) => !replayedRules.has(rule) && !rewriting.includes(rule));
  return reason === undefined && others.length === 0 ? { request, now: 'allowed' } : undefined;
}
