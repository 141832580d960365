/**
 * Requests about the files of a running isolated container. The engine decides and answers them as always, but it is
 * made to see the container's files as they are, and what is copied in is unpacked in the container's own view. Where
 * host files are mounted the engine, which would reach them as root, is kept from them altogether.
 */

import type { ContainerFiles, RunningContainer } from '../container-files/container-files.js';
import { packFile } from '../container-files/pack.js';
import { NotReached, pathStatHeader, type ReachedFile } from '../container-files/reach.js';
import { UnpackProblem } from '../container-files/unpack.js';
import { holdsFiles, holdsHostFiles } from '../rules/other-callers.js';
import type { Facts, JudgedRequest } from '../rules/rule.js';
import { BodyStream } from './body-stream.js';
import type { ProxyContext } from './context.js';
import type { EngineRequest } from './engine-request.js';
import { ProxyError } from './errors.js';
import type { Exchange } from './exchange.js';
import { type ForwardOutcome, forward } from './forward.js';
import { replyWithArchive, replyWithPathStat } from './reply-archive.js';

/** Routes by which the engine reads or writes a container's files, and the parameter that names the container. */
const readers: Readonly<Record<string, (request: JudgedRequest) => string | undefined>> = {
  'container.archive-info': ({ params }) => params['id'],
  'container.archive-get': ({ params }) => params['id'],
  'container.archive-put': ({ params }) => params['id'],
  'container.changes': ({ params }) => params['id'],
  'container.export': ({ params }) => params['id'],
  'image.commit': ({ query }) => query.get('container')?.[0],
};

const fullId = /^[0-9a-f]{64}$/;

/** Two empty blocks end an archive (tar(5)): the engine checks the destination and unpacks nothing. */
const emptyArchive = Buffer.alloc(1024);

/** Whether a request is about a container's files. */
export function isAboutFiles({ route }: JudgedRequest): boolean {
  return readers[route.name] !== undefined;
}

/**
 * Carries out a request about a container's files, as far as the engine can't.
 * @param asked the container as the client named it, the key of the facts
 * @returns undefined for requests that the engine serves, with its view of the files made fresh
 * @throws ProxyError for what the archive or the container's files don't allow
 */
export async function carryOutFiles(
  exchange: Exchange,
  engineRequest: EngineRequest,
  { request, facts, asked }: { request: JudgedRequest; facts: Facts; asked: string },
  proxy: ProxyContext,
): Promise<ForwardOutcome | undefined> {
  const id = readers[request.route.name]?.(request);
  if (proxy.containerFiles === undefined || id === undefined || !fullId.test(id)) return undefined;
  const container = await proxy.containerFiles.running(id);
  const known = facts.container(asked);
  const hostFiles = known !== undefined && holdsHostFiles(known, facts);
  if (container === undefined) {
    const files = known !== undefined && holdsFiles(known, facts);
    if (files && request.route.name.startsWith('container.archive')) throw stopped();
    return undefined;
  }
  proxy.containerFiles.refresh(container, request.engine.dataRoot);
  const errand = { request, container, hostFiles, files: proxy.containerFiles };
  switch (request.route.name) {
    case 'container.archive-put':
      return putArchive(exchange, engineRequest, errand, proxy);
    case 'container.archive-info':
    case 'container.archive-get':
      return hostFiles ? readArchive(exchange, errand) : undefined;
    default:
      return undefined;
  }
}

interface ArchiveErrand {
  readonly request: JudgedRequest;
  readonly container: RunningContainer;
  /** Host files are mounted in it: the engine would reach them as root. */
  readonly hostFiles: boolean;
  readonly files: ContainerFiles;
}

/** It ran when it was judged: the rule `archive-paths` refuses it from now on. */
function stopped(): ProxyError {
  return new ProxyError(
    'COFFERDAM_REFUSED',
    'the container has host files mounted, and does not run any more',
  );
}

function pathOf({ query }: JudgedRequest): string {
  return query.get('path')?.[0] ?? '';
}

function reach({ request, container, files }: ArchiveErrand): ReachedFile {
  try {
    return files.reach(container, pathOf(request));
  } catch (error) {
    if (!(error instanceof NotReached)) throw error;
    const text = `Could not find the file ${pathOf(request)} in container ${container.id}`;
    throw new ProxyError('COFFERDAM_NO_SUCH_FILE', text, { cause: error });
  }
}

async function readArchive(exchange: Exchange, errand: ArchiveErrand): Promise<ForwardOutcome> {
  const reached = reach(errand);
  try {
    const pathStat = pathStatHeader(reached);
    if (errand.request.route.name === 'container.archive-info') replyWithPathStat(exchange, pathStat);
    else await sendArchive(exchange, pathStat, reached, errand);
  } finally {
    reached.folder.close();
  }
  return { kind: 'answered' };
}

async function sendArchive(
  exchange: Exchange,
  pathStat: string,
  reached: ReachedFile,
  { container }: ArchiveErrand,
): Promise<void> {
  const { stream, done } = packFile(reached, container.range);
  // Its failure ends the stream, and is thrown where that is read.
  done.catch((error: unknown) => stream.destroy(error instanceof Error ? error : new Error(String(error))));
  try {
    await replyWithArchive(exchange, pathStat, stream);
  } finally {
    stream.destroy(new Error('nobody reads the archive any more'));
    await done.catch(() => undefined);
  }
}

/**
 * Copies an archive into a running container: the engine judges the destination, we unpack, and the engine's answer
 * goes to the client when that is done.
 */
async function putArchive(
  exchange: Exchange,
  engineRequest: EngineRequest,
  errand: ArchiveErrand,
  proxy: ProxyContext,
): Promise<ForwardOutcome> {
  // The engine looks with root's eyes: it is asked only about what the container's root can reach by itself.
  if (errand.hostFiles) reach(errand).folder.close();
  const asked: EngineRequest = {
    ...engineRequest,
    body: { kind: 'bytes', bytes: emptyArchive },
    contentType: 'application/x-tar',
    expectsContinue: false,
  };
  const outcome = await forward(exchange, asked, proxy.pool, { hold: true });
  if (outcome.kind !== 'held') return outcome;
  if (outcome.answer.head.status === 200) await unpackBody(exchange, errand);
  outcome.answer.release();
  return outcome;
}

async function unpackBody(exchange: Exchange, { request, container, files }: ArchiveErrand): Promise<void> {
  const { query } = request;
  const body = new BodyStream(exchange);
  exchange.watch({
    clientGone: () => body.destroy(new ProxyError('COFFERDAM_CLIENT_GONE', 'the client went away')),
  });
  try {
    await files.unpack(
      container,
      {
        path: pathOf(request),
        noOverwriteDirNonDir: isTrue(query.get('noOverwriteDirNonDir')?.[0]),
        copyUidGid: isTrue(query.get('copyUIDGID')?.[0]),
      },
      body,
    );
  } catch (error) {
    exchange.throwIfGone();
    if (!(error instanceof UnpackProblem)) throw error;
    throw new ProxyError('COFFERDAM_UNPACK', error.message, { cause: error });
  } finally {
    exchange.watch(undefined);
  }
}

/** moby `httputils.BoolValue`. */
function isTrue(value: string | undefined): boolean {
  return !['', '0', 'no', 'false', 'none'].includes((value ?? '').trim().toLowerCase());
}
