/** What the soak tests measured: printed, and kept in a file beside them, one line of JSON for each test of a run. */
import { appendFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const file = fileURLToPath(new URL('./results.jsonl', import.meta.url));

/** Notes the figures of a test, with their units in their names. */
export function measured(test: string, figures: Readonly<Record<string, number>>): void {
  const rounded = Object.fromEntries(
    Object.entries(figures).map(([name, value]) => [name, Number(value.toPrecision(4))]),
  );
  const line = JSON.stringify({ date: new Date().toISOString(), test, ...rounded });
  process.stdout.write(`${line}\n`);
  appendFileSync(file, `${line}\n`);
}
