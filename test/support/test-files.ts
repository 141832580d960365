/**
 * What vitest's configuration has to know of the test files before any of them runs, told by what they import: which
 * start an engine, and which take long, so that none of those begins last, with one worker busy and the others idle.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

const testFolder = fileURLToPath(new URL('..', import.meta.url));
const starters = ['support/engines.ts', 'support/cofferdam.ts', 'packaging/systemd-host.ts'].map((name) =>
  join(testFolder, name),
);

/** A test file and the test code that it imports, directly or not, with each file's length. */
function closure(file: string, found = new Map<string, number>()): Map<string, number> {
  if (found.has(file) || !file.startsWith(testFolder) || !existsSync(file)) return found;
  const text = readFileSync(file, 'utf8');
  found.set(file, text.length);
  if (starters.includes(file)) return found;
  for (const [, path = ''] of text.matchAll(/from '(\.[^']*)\.js'/g))
    closure(resolve(dirname(file), `${path}.ts`), found);
  return found;
}

/** Tests that start a real engine share the machine's cores and mounts; paths from the project's root. */
export function engineTests(): string[] {
  return readdirSync(testFolder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.ts'))
    .filter((name) => starters.some((starter) => closure(join(testFolder, name)).has(starter)))
    .map((name) => `test/${name}`);
}

/** Code of a test's own folder: scenarios, attacks and verbs, each played on an engine. */
function weight(file: string): number {
  const own = `${file.slice(testFolder.length).split(sep)[0]}${sep}`;
  return [...closure(file)]
    .filter(([path]) => path.slice(testFolder.length).startsWith(own))
    .reduce((sum, [, length]) => sum + length, 0);
}

/** Files that took longest the last time first; on a machine that knows no last time, those with the most code. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const known = (spec: TestSpecification): number | undefined =>
      this.ctx.cache.getFileTestResults(
        `${spec.project.name}:${spec.moduleId.slice(this.ctx.config.root.length + 1)}`,
      )?.duration;
    const order = await super.sort(files);
    if (order.every((spec) => known(spec) !== undefined)) return order;
    const weights = new Map(order.map((spec) => [spec, weight(spec.moduleId)]));
    return order.sort((a, b) => {
      const group = a.project.config.sequence.groupOrder - b.project.config.sequence.groupOrder;
      return group === 0 ? (weights.get(b) ?? 0) - (weights.get(a) ?? 0) : group;
    });
  }
}
