/**
 * Writing to the terminal: colours where they are wanted, tables, and screens that are drawn again.
 */

type Colour = 'red' | 'green' | 'yellow' | 'bold' | 'dim';

const codes: Readonly<Record<Colour, string>> = { red: '31', green: '32', yellow: '33', bold: '1', dim: '2' };

/** Colours text on a terminal; leaves it alone in pipes, files, and where NO_COLOR (no-color.org) is set. */
export function colour(name: Colour, text: string): string {
  const wanted = process.stdout.isTTY && !process.env['NO_COLOR'] && process.env['TERM'] !== 'dumb';
  return wanted ? `\u001b[${codes[name]}m${text}\u001b[0m` : text;
}

/** Writes a line to standard output. */
export function print(text = ''): void {
  process.stdout.write(`${text}\n`);
}

/** Writes a line for people to standard error. */
export function complain(text: string): void {
  process.stderr.write(`cofferdam: ${text}\n`);
}

/** Writes a value for programs; 64-bit integers as numbers in full. */
export function printJson(value: unknown): void {
  print(JSON.stringify(value, (_, part) => (typeof part === 'bigint' ? part.toString() : part), 2));
}

/** Left-aligned columns under their titles, as docker prints them. */
export function table(titles: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = titles.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => (row[column] ?? '').length)),
  );
  return [titles, ...rows]
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('   ')
        .trimEnd(),
    )
    .join('\n');
}

/** An id as docker shows it. */
export function shortId(id: string): string {
  return id.replace(/^sha256:/, '').slice(0, 12);
}

/** How long ago a time was: `3 minutes`, as docker shows it. */
export function age(milliseconds: number): string {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  const units: readonly (readonly [number, string])[] = [
    [86_400, 'day'],
    [3600, 'hour'],
    [60, 'minute'],
    [1, 'second'],
  ];
  const [size, name] = units.find(([unit]) => seconds >= unit) ?? [1, 'second'];
  const count = Math.floor(seconds / size);
  return `${count} ${name}${count === 1 ? '' : 's'}`;
}

/**
 * Shows a screen once, or again every two seconds until interrupted. `draw` gives the text and the exit code.
 */
export async function show(
  watch: boolean,
  draw: () => Promise<{ readonly text: string; readonly exitCode: number }>,
): Promise<number> {
  for (;;) {
    const { text, exitCode } = await draw();
    if (!watch) {
      print(text);
      return exitCode;
    }
    // Cursor home, the new text, then clear what is left of the old one: no flicker.
    const clear = process.stdout.isTTY ? '\u001b[H\u001b[2J' : '';
    print(`${clear}${text}`);
    await new Promise((resolve) => setTimeout(resolve, 2000));
  }
}
