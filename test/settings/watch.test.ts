import { chmodSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { writeChoice } from '../../src/settings/choice.js';
import { SettingsHolder } from '../../src/settings/watch.js';

let folder: string;
let file: string;
let holder: SettingsHolder;
let lines: string[];

const log = {
  info: (...entry: unknown[]) => lines.push(String(entry.at(-1))),
  warn: (...entry: unknown[]) => lines.push(String(entry.at(-1))),
  error: (...entry: unknown[]) => lines.push(String(entry.at(-1))),
};

function write(settings: object | string, path = file) {
  writeFileSync(path, typeof settings === 'string' ? settings : JSON.stringify(settings), { mode: 0o644 });
}

function isolation(value: boolean, locked = false) {
  return { enhancedContainerIsolation: { value, locked } };
}

/** The next change that the holder itself notices. */
function change(): Promise<readonly string[]> {
  return new Promise((resolve) => {
    const stop = holder.onChange((_, changes) => {
      stop();
      resolve(changes);
    });
  });
}

/** The next line that the holder logs. */
async function line(pattern: RegExp): Promise<string> {
  for (;;) {
    const found = lines.find((entry) => pattern.test(entry));
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

beforeEach(() => {
  folder = mkdtempSync('/var/tmp/cofferdam-settings-');
  file = join(folder, 'admin-settings.json');
  lines = [];
  write(isolation(true));
  holder = new SettingsHolder({ path: file, stateDir: join(folder, 'state'), log: log as never });
});
afterEach(() => {
  holder.close();
  rmSync(folder, { recursive: true });
});

describe('a changed file', () => {
  it('is taken over by itself, with a line that says what changed', async () => {
    const next = change();
    write(isolation(false));
    expect(await next).toEqual(['enhancedContainerIsolation.value: true → false']);
    expect(holder.current.enhancedContainerIsolation.value).toBe(false);
    expect(holder.generation).toBe(2);
    expect(lines).toContain('settings changed: enhancedContainerIsolation.value: true → false');
  });

  it('is noticed when it is replaced by rename, again and again', async () => {
    for (const value of [false, true, false]) {
      const next = change();
      write(isolation(value), `${file}.new`);
      renameSync(`${file}.new`, file);
      await next;
      expect(holder.current.enhancedContainerIsolation.value).toBe(value);
    }
    expect(holder.generation).toBe(4);
  });

  it('counts no generation when it means the same', () => {
    write({ ...isolation(true), somethingUnknown: 1 });
    holder.reload();
    expect(holder.generation).toBe(1);
  });
});

describe('a file that can not be used', () => {
  it.each([
    ['broken', '{"enhancedContainerIsolation": {"value": fal', /value/],
    ['empty', '', /is empty/],
    ['of a wrong type', '{"enhancedContainerIsolation": {"value": "no"}}', /must be true or false/],
  ])('leaves the last good settings in force when it is %s', async (_, source, message) => {
    write(source);
    await line(/settings not taken over/);
    expect(holder.current.enhancedContainerIsolation.value).toBe(true);
    expect(holder.generation).toBe(1);
    expect(holder.problem).toMatch(message);
    const next = change();
    write(isolation(false));
    await next;
    expect(holder.problem).toBeUndefined();
  });

  it('leaves them in force when it is gone', async () => {
    rmSync(file);
    await line(/settings not taken over/);
    expect(holder.current.enhancedContainerIsolation.value).toBe(true);
  });

  it('leaves them in force when others can write it', async () => {
    write(isolation(false));
    chmodSync(file, 0o666);
    await line(/settings not taken over/);
    expect(holder.current.enhancedContainerIsolation.value).toBe(true);
    expect(holder.problem).toMatch(/can be written by everybody/);
  });

  it('is not half taken over', () => {
    write({ ...isolation(false), existingContainers: 'perhaps' });
    holder.reload();
    expect(holder.current.enhancedContainerIsolation.value).toBe(true);
  });
});

describe("the user's choice", () => {
  it('holds where isolation is not locked', async () => {
    const next = change();
    writeChoice(join(folder, 'state'), { value: false, uid: 1000, at: 1 });
    expect(await next).toEqual(['enhancedContainerIsolation.value: true → false']);
  });

  it('means nothing where it is locked', () => {
    writeChoice(join(folder, 'state'), { value: false, uid: 1000, at: 1 });
    write(isolation(true, true));
    holder.reload();
    expect(holder.current.enhancedContainerIsolation).toMatchObject({ value: true, locked: true });
  });

  it('is over when the administrator locks it', () => {
    writeChoice(join(folder, 'state'), { value: false, uid: 1000, at: 1 });
    holder.reload();
    expect(holder.current.enhancedContainerIsolation.value).toBe(false);
    write(isolation(true, true));
    holder.reload();
    expect(holder.current.enhancedContainerIsolation.value).toBe(true);
  });
});
