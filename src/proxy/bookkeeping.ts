/**
 * The phase *bookkeeping*: what the ledger learns of a container that is being made. The range and the approvals are
 * noted before the engine hears of the container, and tied to its id before the client does. It must never let a
 * container come into being without its note: whatever goes wrong with the ledger refuses the request.
 */
import { createdSchema } from '../engine/client-answers.js';
import { approvedMounts } from '../rules/approved-mounts.js';
import { boundsOfMade } from '../rules/command-lists.js';
import { grantedImage } from '../rules/granted-socket.js';
import { valueAt } from '../rules/json-pointer.js';
import type { SocketImageFacts } from '../rules/rule.js';
import { isolatingRuntime } from '../rules/runtime.js';
import { createDigest } from '../uid-allocator/create-digest.js';
import { AllocatorError } from '../uid-allocator/errors.js';
import type { Intent } from '../uid-allocator/ledger.js';
import type { ProxyContext } from './context.js';
import { ProxyError } from './errors.js';
import type { HeldAnswer } from './forward.js';
import type { AllowedRequest } from './judge.js';

/** One create request in the ledger: settled with the container's id, or abandoned when there is no container. */
export interface Booking {
  /** Rejects when the note can't be brought to the disk. */
  readonly durable: Promise<void>;
  readonly imageId: string | undefined;
  settle(containerId: string): void;
  abandon(): void;
}

/**
 * Notes a request that makes an isolated container; others need no note.
 * @throws ProxyError COFFERDAM_LEDGER when the ledger can't take it
 */
export function book(allowed: AllowedRequest, proxy: ProxyContext): Booking | undefined {
  const { ledger } = proxy;
  const { request, facts, asked } = allowed;
  if (request.route.name !== 'container.create') return undefined;
  if (valueAt(request.body, '/HostConfig/Runtime') !== isolatingRuntime) return undefined;
  const image = String(valueAt(request.body, '/Image') ?? '');
  const name = request.query.get('name')?.[0]?.replace(/^\//, '');
  const imageId = facts.image(image)?.id;
  const mounts = approvedMounts(request, facts);
  const socketGrant = mounts.some(({ ownSocket }) => ownSocket === true);
  const bounds = boundsOfMade(request, facts);
  const intent = inLedger(() =>
    ledger.intend({
      caller: bounds === undefined ? request.caller : { ...request.caller, bounds },
      image,
      digest: createDigest(image, valueAt(request.body, '/HostConfig')),
      mounts,
      socketGrant,
      ...(asked === undefined ? {} : { asked }),
      ...(name === undefined || name === '' ? {} : { name }),
      ...(imageId === undefined ? {} : { imageId }),
    }),
  );
  const made = booking(intent, ledger, imageId);
  const granted = socketGrant ? grantedImage(request, facts) : undefined;
  if (granted === undefined) return made;
  return {
    ...made,
    settle: (containerId) => {
      made.settle(containerId);
      proxy.audit.record({
        event: 'socket.granted',
        caller: request.caller,
        generation: proxy.settings.generation,
        objects: [containerId],
        details: grantDetails(granted),
      });
    },
  };
}

function grantDetails({ imageId, digests = [], entry, derivedFrom }: SocketImageFacts): readonly string[] {
  return [
    `image ${imageId}`,
    ...digests.map((digest) => `digest ${digest}`),
    ...(entry === undefined ? [] : [`entry ${entry}`]),
    ...(derivedFrom === undefined ? [] : [`built on ${derivedFrom}`]),
  ];
}

function booking(intent: Intent, ledger: ProxyContext['ledger'], imageId: string | undefined): Booking {
  return {
    imageId,
    durable: intent.durable.catch((error: unknown) => {
      throw ledgerError(error);
    }),
    settle: (containerId) => inLedger(() => ledger.settle(intent, containerId, imageId)),
    abandon: () => inLedger(() => ledger.abandon(intent)),
  };
}

/** The id of the container that the engine's answer tells of; absent when it made none. */
export function createdContainer(answer: HeldAnswer): string | undefined {
  if (answer.head.status !== 201) return undefined;
  try {
    return createdSchema.parse(JSON.parse(answer.content.toString('utf8'))).Id;
  } catch (cause) {
    throw new ProxyError('COFFERDAM_ENGINE_ANSWER', "the engine's answer names no container", { cause });
  }
}

function inLedger<T>(action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw ledgerError(error);
  }
}

function ledgerError(error: unknown): ProxyError {
  const reason = error instanceof AllocatorError ? `${error.message} (${error.code})` : 'it failed';
  return new ProxyError('COFFERDAM_LEDGER', `the ledger of containers can't be used: ${reason}`, {
    cause: error,
  });
}
