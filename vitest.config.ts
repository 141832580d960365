import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const root = fileURLToPath(new URL('.', import.meta.url));
const starters = ['support/engines', 'support/cofferdam', 'packaging/systemd-host'].map((name) =>
  join(root, `test/${name}.ts`),
);

/** Whether a test starts a real engine, told by what it imports: such tests share the machine's cores and mounts. */
function startsEngine(file: string, seen = new Set<string>()): boolean {
  if (starters.includes(file)) return true;
  if (seen.has(file) || !existsSync(file)) return false;
  seen.add(file);
  return [...readFileSync(file, 'utf8').matchAll(/from '(\.[^']*)\.js'/g)]
    .map(([, path = '']) => resolve(dirname(file), `${path}.ts`))
    .some((imported) => startsEngine(imported, seen));
}

const engineTests = readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.test.ts') && startsEngine(join(root, 'test', name)))
  .map((name) => `test/${name}`);

export default defineConfig({
  test: {
    testTimeout: 60_000,
    hookTimeout: 300_000,
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: engineTests,
          globalSetup: ['test/support/build.ts'],
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'engine',
          include: engineTests,
          globalSetup: ['test/support/build.ts', 'test/support/unpack-engines.ts'],
          testTimeout: 90_000,
          // Half of an engine test is waiting: two side by side fill two cores.
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
