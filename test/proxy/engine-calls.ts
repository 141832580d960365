/** A connection to an engine over HTTP/2, and calls on it, for tests. */
import type { Socket } from 'node:net';
import { afterEach } from 'vitest';
import type { CallReceiver, EngineCall } from '../../src/proxy/engine-call.js';
import { EngineHttp2 } from '../../src/proxy/engine-http2.js';
import { connected } from './read-pair.js';

export const ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0)) end();
});

/** A connection, greeted, and the engine's end of it. */
export function connection(): {
  upstream: EngineHttp2;
  engine: Socket;
  goneAway: number[];
  closed: Promise<void>;
} {
  const { end, far: engine } = connected({ take: () => undefined, holdsNothing: true });
  engine.on('error', () => undefined);
  const upstream = new EngineHttp2(end);
  ends.push(() => upstream.destroy());
  const goneAway: number[] = [];
  const closed = new Promise<void>((resolve) => {
    upstream.watch({ goAway: (code) => goneAway.push(code), closed: resolve });
  });
  upstream.start();
  return { upstream, engine, goneAway, closed };
}

/** What became of a call. */
export class Outcome implements CallReceiver {
  readonly fields: string[][] = [];
  readonly parts: Buffer[] = [];
  ends = 0;
  drains = 0;
  readonly code: Promise<number>;
  readonly #resolve: (code: number) => void;

  constructor() {
    let resolve: (code: number) => void = () => undefined;
    this.code = new Promise((settle) => {
      resolve = settle;
    });
    this.#resolve = resolve;
  }

  response(fields: readonly string[]): void {
    this.fields.push([...fields]);
  }
  data(bytes: Buffer): void {
    this.parts.push(bytes);
  }
  trailers(fields: readonly string[]): void {
    this.fields.push([...fields]);
  }
  ended(): void {
    this.ends++;
  }
  drained(): void {
    this.drains++;
  }
  closed(code: number): void {
    this.#resolve(code);
  }
}

export const asked = [
  ':method',
  'POST',
  ':scheme',
  'http',
  ':authority',
  'docker',
  ':path',
  '/a',
  'x',
  '1',
  'x',
  '2',
];

export function open(upstream: EngineHttp2, endStream = false): { call: EngineCall; outcome: Outcome } {
  const outcome = new Outcome();
  const call = upstream.open(asked, endStream, outcome);
  if (call === undefined) throw new Error('the connection takes no calls');
  return { call, outcome };
}
