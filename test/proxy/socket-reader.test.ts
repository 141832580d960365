/** Memory that is read into again must never be somebody's still: bytes stay what they were, whoever holds them. */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { tunnel } from '../../src/proxy/hijack.js';
import type { BytesTaker } from '../../src/proxy/socket-reader.js';
import { connected } from './read-pair.js';

/** Keeps some of what it takes, and says so; what it doesn't keep it copies. */
class Collector implements BytesTaker {
  readonly parts: Buffer[] = [];
  holdsNothing = true;
  readonly #keeps: readonly boolean[];

  constructor(keeps: readonly boolean[]) {
    this.#keeps = keeps;
  }

  take(bytes: Buffer): void {
    this.holdsNothing = this.#keeps[this.parts.length % this.#keeps.length] !== true;
    this.parts.push(this.holdsNothing ? Buffer.from(bytes) : bytes);
  }
}

const sizes = fc.array(fc.oneof(fc.integer({ min: 1, max: 3000 }), fc.integer({ min: 1, max: 200_000 })), {
  minLength: 1,
  maxLength: 12,
});

describe('a socket that is read into memory of its own', () => {
  it('gives every byte once and in order, whatever is kept', async () => {
    const keeps = fc.array(fc.boolean(), { minLength: 1, maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(sizes, keeps, async (pieces, kept) => {
        const collector = new Collector(kept);
        const { end, far } = connected(collector);
        const sent = pieces.map((size) => randomBytes(size));
        for (const piece of sent) if (!far.write(piece)) await once(far, 'drain');
        far.end();
        await once(end.socket, 'end');
        expect(Buffer.concat(collector.parts).equals(Buffer.concat(sent))).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it('keeps what was taken before it was given to another', async () => {
    const later = new Collector([false]);
    const first: Buffer[] = [];
    const taker: BytesTaker = {
      take: (bytes) => {
        first.push(bytes);
        end.reader.giveTo(later);
      },
      holdsNothing: true,
    };
    const { end, far } = connected(taker);
    // Enough to get memory of the largest kind first.
    const earlier = new Collector([false]);
    end.reader.giveTo(earlier);
    far.write(randomBytes(100_000));
    await expect.poll(() => Buffer.concat(earlier.parts).length).toBe(100_000);
    end.reader.giveTo(taker);
    const head = randomBytes(30_000);
    const rest = randomBytes(300_000);
    far.write(head);
    await expect.poll(() => first.length).toBe(1);
    far.write(rest);
    await expect.poll(() => Buffer.concat(later.parts).length).toBe(300_000);
    expect(first[0]?.equals(head)).toBe(true);
    expect(Buffer.concat(later.parts).equals(rest)).toBe(true);
  });

  it('reads into the same memory again when nothing of it is held', async () => {
    const seen = new Set<ArrayBufferLike>();
    const { end, far } = connected({ take: (bytes) => void seen.add(bytes.buffer), holdsNothing: true });
    for (let count = 0; count < 20; count += 1) {
      if (!far.write(Buffer.alloc(50_000))) await once(far, 'drain');
    }
    far.end();
    await once(end.socket, 'end');
    // The first one, the full one, and the pool of small copies.
    expect(seen.size).toBeLessThanOrEqual(3);
  });
});

describe('a tunnel', () => {
  it('changes no byte when one side reads in fits and starts', async () => {
    const nobody: BytesTaker = { take: () => undefined, holdsNothing: true };
    const client = connected(nobody);
    const engine = connected(nobody);
    const closed = tunnel(client.end, engine.end);
    const bytes = randomBytes(1 << 20);
    const sent = createHash('sha256');
    const received = createHash('sha256');
    let count = 0;
    client.far.on('data', (chunk: Buffer) => {
      received.update(chunk);
      count += chunk.length;
      client.far.pause();
      setTimeout(() => client.far.resume(), count % 3);
    });
    for (let round = 0; round < 24; round += 1) {
      const piece = bytes.subarray((round * 7919) % 1000);
      sent.update(piece);
      if (!engine.far.write(piece)) await once(engine.far, 'drain');
    }
    engine.far.end();
    await once(client.far, 'end');
    client.far.end();
    await closed;
    expect(received.digest('hex')).toBe(sent.digest('hex'));
  });
});
