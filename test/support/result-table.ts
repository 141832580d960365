/** What a test file saw, as a Markdown table: printed at its end where COFFERDAM_RESULT_TABLES=1 asks for it. */

export class ResultTable {
  readonly #rows: (readonly string[])[] = [];
  readonly #head: readonly string[];

  constructor(...head: readonly string[]) {
    this.#head = head;
  }

  /** Notes one line; only what was really seen belongs here. */
  add(...cells: readonly string[]): void {
    this.#rows.push(cells);
  }

  print(): void {
    if (process.env['COFFERDAM_RESULT_TABLES'] !== '1') return;
    const lines = [this.#head, this.#head.map(() => '---'), ...this.#rows];
    process.stdout.write(`${lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n')}\n`);
  }
}
