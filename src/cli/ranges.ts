/**
 * `cofferdam ranges`: which ids belong to which container, from the ledger itself; the daemon need not run.
 */
import { openLedger } from '../uid-allocator/ledger.js';
import type { ContainerRecord, Range } from '../uid-allocator/record.js';
import { containerNames, type NamedContainer } from './engine-names.js';
import { type Options, parseOptions, socketPath } from './options.js';
import { age, complain, shortId, show, table } from './output.js';

function rangeText({ range }: { readonly range: Range }): string {
  return `${range.base}-${range.base + range.size - 1}`;
}

function row(record: ContainerRecord, named: NamedContainer | undefined, now: number): string[] {
  return [
    rangeText(record),
    shortId(record.id),
    named?.name ?? '',
    named?.state ?? (record.process === undefined ? '' : 'build step'),
    record.caller === undefined ? '' : String(record.caller.uid),
    `${age(now - record.createdAt)} ago`,
  ];
}

async function draw(options: Options): Promise<{ text: string; exitCode: number }> {
  const { containers, callers, problems } = openLedger(options.state).survey();
  const sorted = containers.toSorted((left, right) => left.range.base - right.range.base);
  for (const problem of problems) complain(problem.message);
  const exitCode = problems.length === 0 ? 0 : 1;
  const names = await containerNames(options.listen.map(socketPath));
  if (options.json) {
    const list = sorted.map((record) => ({
      ...record.range,
      container: record.id,
      name: names.get(record.id)?.name,
      state: names.get(record.id)?.state,
      uid: record.caller?.uid,
      createdAt: new Date(record.createdAt).toISOString(),
    }));
    const files = callers.map(({ uid, range }) => ({ uid, ...range }));
    return { text: JSON.stringify({ containers: list, callers: files }, null, 2), exitCode };
  }
  const now = Date.now();
  const titles = ['IDS', 'CONTAINER', 'NAME', 'STATE', 'CALLER', 'CREATED'];
  return {
    text: table(
      titles,
      sorted.map((record) => row(record, names.get(record.id), now)),
    ),
    exitCode,
  };
}

/** Shows every range in use; 1 when a file of the ledger can't be believed. */
export function ranges(argv: readonly string[], environment: NodeJS.ProcessEnv): Promise<number> {
  const options = parseOptions('ranges', argv, environment);
  return show(options.switches.has('watch'), () => draw(options));
}
