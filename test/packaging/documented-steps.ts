/**
 * What a page of the documentation has people type: the commands in its fenced blocks and in the last column of its
 * tables, each with the output that the page shows, and the files that it has them write. In the page's order; what
 * isn't taken is left, and can be asked for.
 */
import { readFileSync } from 'node:fs';

export interface Typed {
  readonly kind: 'command';
  /** `#` for root, `$` for anybody in the docker group. */
  readonly prompt: string;
  readonly command: string;
  /** The lines that the page shows below it; none: anything may come. */
  readonly shown: readonly string[];
}

interface Written {
  readonly kind: 'json' | 'sh';
  readonly text: string;
}

type Step = Typed | Written;

const programs = /^(cofferdam|systemctl|journalctl|apt-get|curl|oras) /;

/** The commands of a console block. */
function typedIn(block: string): Step[] {
  const steps: { prompt: string; command: string; shown: string[] }[] = [];
  for (const line of block.split('\n')) {
    const [, prompt, command] = /^([#$]) (.*)$/.exec(line) ?? [];
    if (prompt !== undefined && command !== undefined) steps.push({ prompt, command, shown: [] });
    else steps.at(-1)?.shown.push(line);
  }
  return steps.map((step) => ({ kind: 'command', ...step }));
}

/** The commands in the last cell of a table's row. */
function tabledIn(row: string): Step[] {
  const cell = row.split('|').at(-2) ?? '';
  return [...cell.matchAll(/`([^`]+)`/g)]
    .map(([, span]) => span ?? '')
    .filter((span) => programs.test(span))
    .map((command) => ({ kind: 'command', prompt: '#', command, shown: [] }));
}

function stepsIn(text: string): Step[] {
  const parts = text.matchAll(/^```(\w+)\n([\s\S]*?)\n```$|^(\|.*\|)$/gm);
  return [...parts].flatMap(([, language, block = '', row]): Step[] => {
    if (row !== undefined) return tabledIn(row);
    return language === 'json' || language === 'sh' ? [{ kind: language, text: block }] : typedIn(block);
  });
}

export class DocumentedSteps {
  readonly #sections: ReadonlyMap<string, readonly Step[]>;
  readonly #taken = new Map<string, number>();

  /** @param path of the page, a Markdown file */
  constructor(path: URL) {
    const [, ...sections] = readFileSync(path, 'utf8').split(/^#{2,} (?=[^\n]+$)/m);
    this.#sections = new Map(
      sections.map((section) => [section.slice(0, section.indexOf('\n')), stepsIn(section)]),
    );
  }

  /** Goes through a section from its beginning. */
  begin(section: string): void {
    if (!this.#sections.has(section)) throw new Error(`there is no section ${section}`);
    this.#taken.set(section, 0);
  }

  /** The next command of a section; throws when it begins in another way. */
  command(section: string, beginning: string): Typed {
    const step = this.#next(section);
    if (step?.kind === 'command' && step.command.startsWith(beginning)) return step;
    throw new Error(`${beginning} is expected next in ${section}, not ${JSON.stringify(step)}`);
  }

  /** The next block of a section, of a file or a script; throws when something else comes. */
  file(section: string, language: Written['kind']): string {
    const step = this.#next(section);
    if (step?.kind === language) return step.text;
    throw new Error(`a ${language} block is expected next in ${section}, not ${JSON.stringify(step)}`);
  }

  /** What was never taken. */
  get left(): readonly Step[] {
    return [...this.#sections].flatMap(([section, steps]) => steps.slice(this.#taken.get(section) ?? 0));
  }

  #next(section: string): Step | undefined {
    const taken = this.#taken.get(section) ?? 0;
    this.#taken.set(section, taken + 1);
    return this.#sections.get(section)?.[taken];
  }
}

/** A pattern for the output that a page shows: `…` stands for what it leaves out; numbers and gaps may be others. */
export function outputLike(shown: readonly string[]): RegExp {
  const lines = shown.map((line) => (line === '…' ? '(?:[^\\n]*\\n)*?' : `${lineLike(line)}\\n`));
  return new RegExp(`^${lines.join('')}$`);
}

function lineLike(line: string): string {
  return line
    .replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')
    .replaceAll('…', '[^\\n]*')
    .replace(/\d+/g, '\\d+')
    .replace(/ {2,}/g, ' +');
}
