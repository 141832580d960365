/** The table of doors in the documentation has the doors that the tests try, on the engines on which they try them. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { buildDoors, containerdDoors } from './build-doors.js';
import { classicDoors, plainDoors } from './doors.js';
import { rawDoors } from './raw-doors.js';

const file = new URL('../../docs/registry-access.md', import.meta.url);

function rows(
  group: string,
  doors: readonly (readonly [string, ...unknown[]])[],
  cells: readonly string[],
): readonly string[] {
  return doors.map(([name]) => `| ${[`${group}: ${name}`, ...cells].join(' | ')} |`);
}

test('docs/registry-access.md', () => {
  const table = [
    '| door | 28.5, overlay2 | 28.5, containerd | 26.1, overlay2 | 20.10, overlay2 |',
    '|---|---|---|---|---|',
    ...rows('engine', plainDoors, ['closed', 'closed', 'closed', 'closed']),
    ...rows('classic builder', classicDoors, ['closed', 'closed', 'closed', 'closed']),
    ...rows('BuildKit', buildDoors, ['closed', 'closed', 'closed', 'no BuildKit']),
    ...rows('BuildKit', containerdDoors, ['none', 'closed', 'none', 'no BuildKit']),
    ...rows('own client of BuildKit', rawDoors, ['closed', 'closed', 'closed', 'no BuildKit']),
  ];
  const documented = readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) =>
      /^\|(?: door \| 28|---\|---\|---\|---\|---\|| (?:engine|classic builder|BuildKit|own client of BuildKit): )/.test(
        line,
      ),
    );
  expect(documented).toEqual(table);
});
