/**
 * The engine's event stream: what happens to containers, images, volumes, networks and the
 * engine itself, whoever caused it. The stream
 * is taken up again when the engine comes back; whoever listens learns that it may have missed something. It must
 * never keep quiet about a gap.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { EngineClient } from './client.js';
import { type EngineEvent, eventSchema } from './client-answers.js';

export type { EngineEvent } from './client-answers.js';

export interface EventWatch {
  close(): void;
}

/** Only what changes an object; health checks alone make several other events a second. */
const filters = JSON.stringify({
  type: ['container', 'image', 'volume', 'network', 'daemon'],
  event: [
    'create',
    'destroy',
    'rename',
    'update',
    'start',
    'die',
    'delete',
    'import',
    'load',
    'pull',
    'tag',
    'untag',
    'prune',
    'remove',
    'reload',
  ],
});

/** An engine that is away is asked again after this; a restart takes it seconds. */
const pauseMilliseconds = { first: 50, longest: 2_000 };

/**
 * Follows the engine's events until closed.
 * @param onEvent called for each event; one may come twice after a gap
 * @param onGap called when the stream is lost: from now on events are missed
 * @param onWatching called when the stream is up, before its first event: from now on none is missed
 */
export function watchEvents(
  client: EngineClient,
  onEvent: (event: EngineEvent) => void,
  onGap: (reason: unknown) => void,
  onWatching: () => void = () => undefined,
): EventWatch {
  const abort = new AbortController();
  void follow(client, { onEvent, onGap, onWatching }, abort.signal);
  return { close: () => abort.abort() };
}

interface Listener {
  readonly onEvent: (event: EngineEvent) => void;
  readonly onGap: (reason: unknown) => void;
  readonly onWatching: () => void;
}

async function follow(client: EngineClient, listener: Listener, signal: AbortSignal): Promise<void> {
  let pause = pauseMilliseconds.first;
  while (!signal.aborted) {
    try {
      await readStream(client, listener, signal, () => {
        pause = pauseMilliseconds.first;
      });
      if (!signal.aborted) listener.onGap(new Error('the engine ended its event stream'));
    } catch (error) {
      if (!signal.aborted) listener.onGap(error);
    }
    // An aborted pause ends the loop.
    await sleep(pause, undefined, { signal, ref: false }).catch(() => undefined);
    pause = Math.min(pause * 2, pauseMilliseconds.longest);
  }
}

async function readStream(
  client: EngineClient,
  listener: Listener,
  signal: AbortSignal,
  onUp: () => void,
): Promise<void> {
  // dockerd sends the head before it subscribes (moby daemon/server/router/system, getEvents): `since` has it replay
  // what happened in between.
  const since = (Date.now() / 1000 - 1).toFixed(3);
  const stream = await client.stream('/events', { filters, since }, signal);
  onUp();
  listener.onWatching();
  // A character may be cut in two by the chunks.
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      if (line.trim() !== '') listener.onEvent(eventSchema.parse(JSON.parse(line)));
    }
  }
}
