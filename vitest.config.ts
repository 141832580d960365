import { defineConfig } from 'vitest/config';
import { engineTests, LongestFirst } from './test/support/test-files.js';

const onEngines = engineTests();

export default defineConfig({
  test: {
    testTimeout: 60_000,
    hookTimeout: 300_000,
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: onEngines,
          globalSetup: ['test/support/build.ts'],
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'engine',
          include: onEngines,
          globalSetup: ['test/support/build.ts', 'test/support/unpack-engines.ts'],
          testTimeout: 90_000,
          // Real engines on a shared machine: once in some thousand tests one is slower than any sensible limit. The
          // reporter says which passed only at the second try.
          retry: 1,
          // Half of an engine test is waiting: two side by side fill two cores.
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
