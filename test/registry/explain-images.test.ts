import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { explainBuild, explainPull } from '../../src/cli/explain-images.js';
import { settingsSchema } from '../../src/settings/schema.js';

const settings = settingsSchema.parse({
  registryAccess: { value: true, registries: [{ address: 'docker.io', repositories: ['library/*'] }] },
});
let folder: string;
let printed: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'cofferdam-explain-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** What is printed by a step that writes to standard output. */
function output(step: () => number): { code: number; text: string } {
  printed = '';
  const spy = vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    printed += String(text);
    return true;
  });
  try {
    return { code: step(), text: printed };
  } finally {
    spy.mockRestore();
  }
}

describe('explain --pull', () => {
  test('an image that may be pulled, in its full name', () => {
    const { code, text } = output(() => explainPull('alpine', settings, false));
    expect(code).toBe(0);
    expect(text).toContain('allowed  docker.io/library/alpine:latest');
  });

  test.each([
    ['evil.io/x', 'has been restricted by your administrators'],
    ['UPPER', 'must be lowercase'],
  ])('%s', (image, words) => {
    const { code, text } = output(() => explainPull(image, settings, false));
    expect(code).toBe(1);
    expect(text).toContain(words);
  });
});

describe('explain --build', () => {
  test('each image with its line', () => {
    writeFileSync(
      join(folder, 'Dockerfile'),
      'FROM alpine\nCOPY --from=evil.io/x / /\nADD http://evil.io/y /\n',
    );
    const { code, text } = output(() => explainBuild(folder, settings, true));
    expect(code).toBe(1);
    expect(JSON.parse(text)).toMatchObject([
      { name: 'docker.io/library/alpine:latest', line: 1, allowed: true },
      { name: 'evil.io/x:latest', line: 2, allowed: false, setting: 'registryAccess.registries' },
      { name: 'http://evil.io/y', line: 3, allowed: false, setting: 'registryAccess.urls' },
    ]);
  });

  test('one that can’t be resolved for sure', () => {
    writeFileSync(join(folder, 'Dockerfile'), 'FROM $BASE');
    const { code, text } = output(() => explainBuild(join(folder, 'Dockerfile'), settings, false));
    expect(code).toBe(1);
    expect(text).toContain("can't be resolved for sure");
  });
});
