import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FactMemory } from '../../src/engine/fact-memory.js';

function watched<Value>(): FactMemory<Value> {
  const memory = new FactMemory<Value>();
  memory.watch(true);
  return memory;
}

describe('what is remembered', () => {
  test('an object, until it is forgotten', async () => {
    const memory = watched<number>();
    let asked = 0;
    const fetch = async () => ++asked;
    expect([await memory.find('a', fetch), await memory.find('a', fetch)]).toEqual([1, 1]);
    memory.forget('b');
    expect(await memory.find('a', fetch)).toBe(1);
    memory.forget('a');
    expect(await memory.find('a', fetch)).toBe(2);
    memory.forget();
    expect(await memory.find('a', fetch)).toBe(3);
  });

  test('nothing that doesn’t exist', async () => {
    const memory = watched<number>();
    expect(await memory.find('a', async () => undefined)).toBeUndefined();
    expect(await memory.find('a', async () => 1)).toBe(1);
  });

  test('nothing while events are not watched, and nothing from before a gap', async () => {
    const memory = new FactMemory<number>();
    let asked = 0;
    const fetch = async () => ++asked;
    await memory.find('a', fetch);
    memory.watch(true);
    await memory.find('a', fetch);
    expect(await memory.find('a', fetch)).toBe(2);
    memory.watch(false);
    memory.watch(true);
    expect(await memory.find('a', fetch)).toBe(3);
  });

  test('no answer that was under way when something happened', async () => {
    const memory = watched<number>();
    const slow = memory.find('a', async () => {
      memory.forget('a');
      return 1;
    });
    expect(await slow).toBe(1);
    expect(await memory.find('a', async () => 2)).toBe(2);
  });

  test('what was learnt without asking, while events are watched', async () => {
    const memory = new FactMemory<number>();
    memory.learn('a', 1);
    memory.watch(true);
    expect(await memory.find('a', async () => undefined)).toBeUndefined();
    memory.learn('a', 1);
    expect(await memory.find('a', async () => 2)).toBe(1);
    memory.watch(false);
    expect(await memory.find('a', async () => 2)).toBe(2);
  });

  test('no more than fits', async () => {
    const memory = watched<number>();
    for (let at = 0; at < 5000; at += 1) await memory.find(String(at), async () => at);
    expect(await memory.find('0', async () => -1)).toBe(-1);
    expect(await memory.find('4999', async () => -1)).toBe(4999);
  });
});

test('an object that changes only during announced changes is never told wrong once a change has ended', async () => {
  const step = fc.constantFrom('look', 'begin', 'change', 'end', 'slow look');
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const memory = watched<number>();
      let truth = 0;
      let changes = 0;
      const slow: Promise<unknown>[] = [];
      for (const name of steps) {
        if (name === 'begin') {
          memory.changeBegins();
          changes += 1;
        } else if (name === 'end' && changes > 0) {
          memory.changeEnds();
          changes -= 1;
        } else if (name === 'change' && changes > 0) truth += 1;
        else if (name === 'look') expect(await memory.find('a', async () => truth)).toBe(truth);
        else if (name === 'slow look') {
          // Read now, told later: as an answer that is on its way while the next steps happen.
          const seen = truth;
          slow.push(
            Promise.resolve(memory.find('a', () => new Promise((resolve) => setTimeout(resolve, 0, seen)))),
          );
        }
      }
      while (changes-- > 0) memory.changeEnds();
      await Promise.all(slow);
      expect(await memory.find('a', async () => truth)).toBe(truth);
    }),
    { numRuns: 500 },
  );
});
