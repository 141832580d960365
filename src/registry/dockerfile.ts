/**
 * Finds what the classic builder would fetch for a Dockerfile: base images, images of COPY --from, addresses of ADD.
 * It follows moby's parser (buildkit `frontend/dockerfile/parser`, moby `builder/dockerfile`) for the plain language,
 * and gives up with DockerfileUnsure wherever two readings are possible: what can't be resolved for sure is refused.
 */

/** A Dockerfile, or a part of one, that can't be resolved for sure. */
export class DockerfileUnsure extends Error {
  readonly code = 'COFFERDAM_DOCKERFILE_UNSURE';
}

export type DockerfileNeed =
  /** An image by reference or id. `platform` says that the instruction asks for one of its own. */
  | {
      readonly kind: 'base' | 'copied';
      readonly image: string;
      readonly platform: boolean;
      readonly line: number;
    }
  | { readonly kind: 'address'; readonly url: string; readonly line: number };

interface Line {
  readonly text: string;
  /** Number of its first line, from 1. */
  readonly number: number;
}

const instructions = new Set(
  'ADD ARG CMD COPY ENTRYPOINT ENV EXPOSE FROM HEALTHCHECK LABEL MAINTAINER ONBUILD RUN SHELL STOPSIGNAL USER VOLUME WORKDIR'.split(
    ' ',
  ),
);
const spaces = /[\t\v\f\r ]+/;
const stageName = /^[a-z][a-z0-9-_.]*$/;

function unsure(line: number, why: string): never {
  throw new DockerfileUnsure(`line ${line}: ${why}`);
}

/**
 * The escape character of the `# escape=` directive. Engines differ in which directives may stand before it, so that
 * it counts on the first line only.
 */
function escapeCharacter(lines: readonly string[]): '\\' | '`' {
  for (const [index, line] of lines.entries()) {
    const value = /^[ \t]*#\s*escape\s*=\s*(.+?)\s*$/i.exec(line)?.[1];
    if (value === undefined) continue;
    if (index > 0 || (value !== '\\' && value !== '`')) unsure(index + 1, 'an escape directive out of place');
    return value;
  }
  return '\\';
}

// White space that Go and JavaScript don't agree on: at the beginning of a line it would decide whether the line is
// blank or a comment.
const oddSpace = /^[ \t\r]*[\v\f\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff]/;

/** Joins continued lines and drops comments and blank lines, as the parser does. */
function logicalLines(source: string): readonly Line[] {
  const physical = source
    .replace(/^\ufeff/, '')
    .split('\n')
    .map((line) => line.replace(/\r+$/, ''));
  const escapeToken = escapeCharacter(physical);
  const lines: Line[] = [];
  let open: Line | undefined;
  for (const [index, line] of physical.entries()) {
    if (oddSpace.test(line)) unsure(index + 1, 'a line begins with unusual white space');
    if (/^[ \t\r]*(#.*)?$/.test(line)) continue;
    const body = line.replace(/[ \t]+$/, '');
    // Engines differ in whether an escaped escape continues a line.
    if (body.endsWith(escapeToken + escapeToken)) unsure(index + 1, 'a line ends in two escape characters');
    const continues = body.endsWith(escapeToken);
    const text = continues ? body.slice(0, -1) : line;
    open = open === undefined ? { text, number: index + 1 } : { text: open.text + text, number: open.number };
    if (!continues) {
      lines.push(open);
      open = undefined;
    }
  }
  if (open !== undefined) lines.push(open);
  return lines;
}

/** Variables for FROM: the global ARGs, with the values of the build's arguments. */
class GlobalArguments {
  readonly #given: ReadonlyMap<string, string | null>;
  readonly #values = new Map<string, string>();
  #unsure = false;

  constructor(given: ReadonlyMap<string, string | null>) {
    this.#given = given;
  }

  /** Takes one ARG instruction before the first FROM. */
  declare(rest: string): void {
    const match = /^([A-Za-z_]\w*)(?:=(?:"([^"\\`]*)"|([^\s'"\\`]*)))?$/.exec(rest);
    const name = match?.[1];
    if (name === undefined) {
      this.#unsure = true;
      return;
    }
    const text = match?.[2] ?? match?.[3];
    const given = this.#given.get(name);
    if (given !== undefined && given !== null) {
      this.#values.set(name, given);
    } else if (text === undefined) {
      this.#values.delete(name);
    } else {
      const value = this.#substitute(text);
      if (value === undefined) this.#unsure = true;
      else this.#values.set(name, value);
    }
  }

  #substitute(text: string): string | undefined {
    let known = true;
    const variable = /\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)(?::([-+])([^${}'"\\`]*))?\})|\$/g;
    const result = text.replace(
      variable,
      (_all, plain?: string, braced?: string, operator?: string, word?: string) => {
        const value = this.#values.get(plain ?? braced ?? '');
        if (operator === '-') return value === undefined || value === '' ? (word ?? '') : value;
        if (operator === '+') return value === undefined || value === '' ? '' : (word ?? '');
        if (value === undefined) known = false;
        return value ?? '';
      },
    );
    return known ? result : undefined;
  }

  /** The text with its variables replaced. */
  expand(text: string, line: number): string {
    if (!text.includes('$')) return text;
    const value = this.#unsure ? undefined : this.#substitute(text);
    return value ?? unsure(line, `the variables of ${JSON.stringify(text)} can't be resolved`);
  }
}

/**
 * The flags at the beginning of an instruction's arguments, and what follows them. The parser reads them byte by byte,
 * so that a byte of a longer character may count as a blank: anything but plain ASCII is given up on.
 */
function splitFlags(rest: string, line: number): { flags: readonly string[]; words: string } {
  const flags: string[] = [];
  let words = rest;
  for (;;) {
    words = words.replace(/^[\t\v\f\r ]+/, '');
    if (!words.startsWith('--')) return { flags, words };
    const [flag = ''] = words.split(spaces, 1);
    if (/[^\x21-\x7e]|['"\\`]/.test(flag)) unsure(line, `the flag ${JSON.stringify(flag)} is not plain`);
    flags.push(flag);
    words = words.slice(flag.length);
    if (flag === '--') return { flags, words };
  }
}

class Reader {
  readonly needs: DockerfileNeed[] = [];
  readonly #stages = new Set<string>();
  #stageCount = 0;
  readonly #arguments: GlobalArguments;

  constructor(given: ReadonlyMap<string, string | null>) {
    this.#arguments = new GlobalArguments(given);
  }

  instruction({ text, number }: Line): void {
    const trimmed = text.trim();
    const [word = ''] = trimmed.split(spaces, 1);
    const name = word.toUpperCase();
    const rest = trimmed.slice(word.length).trim();
    if (!instructions.has(name)) unsure(number, `the instruction ${JSON.stringify(word)} is not known`);
    switch (name) {
      case 'FROM':
        this.#from(rest, number);
        break;
      case 'ARG':
        if (this.#stageCount === 0) this.#arguments.declare(rest);
        break;
      case 'ONBUILD':
        this.#onBuild(rest, number);
        break;
      case 'COPY':
        this.#copy(rest, number);
        break;
      case 'ADD':
        this.#add(rest, number);
        break;
      case 'RUN':
        refuseHeredoc(rest, number);
        break;
      default:
    }
  }

  // A later stage may start from this one, and then its triggers run within the same build.
  #onBuild(rest: string, line: number): void {
    if (/^(ONBUILD|FROM|MAINTAINER)\b/i.test(rest))
      unsure(line, 'ONBUILD with an instruction that it may not have');
    this.instruction({ text: rest, number: line });
  }

  #from(rest: string, line: number): void {
    const { flags, words } = splitFlags(rest, line);
    if (/['"\\`]/.test(words)) unsure(line, 'a base image is quoted');
    const [image = '', as, name, ...more] = words.split(spaces);
    const named = as !== undefined;
    const stage = name?.toLowerCase() ?? '';
    const wrong = more.length > 0 || (named && (as.toLowerCase() !== 'as' || !stageName.test(stage)));
    if (image === '' || wrong) unsure(line, 'FROM takes an image, AS and a name');
    const expanded = this.#arguments.expand(image, line);
    if (expanded === '') unsure(line, 'the base image is empty');
    if (!this.#stages.has(expanded.toLowerCase()) && expanded !== 'scratch') {
      this.needs.push({ kind: 'base', image: expanded, platform: flags.length > 0, line });
    }
    this.#stageCount += 1;
    if (named) this.#stages.add(stage);
  }

  #copy(rest: string, line: number): void {
    refuseHeredoc(rest, line);
    const { flags } = splitFlags(rest, line);
    for (const flag of flags) {
      const from = /^--from=(.*)$/i.exec(flag)?.[1];
      if (from === undefined || from === '') continue;
      if (from.includes('$')) unsure(line, 'COPY --from with a variable');
      const index = /^[+-]?\d+$/.test(from);
      if (index || this.#stages.has(from.toLowerCase())) continue;
      this.needs.push({ kind: 'copied', image: from, platform: false, line });
    }
  }

  #add(rest: string, line: number): void {
    refuseHeredoc(rest, line);
    const { words } = splitFlags(rest, line);
    for (const source of sources(words, line)) {
      const literal = source.split(/[$"'\\`]/, 1)[0] ?? '';
      const open = literal.length < source.length;
      const lower = literal.toLowerCase();
      if (lower.startsWith('http://') || lower.startsWith('https://')) {
        if (open) unsure(line, `the address ${JSON.stringify(source)} can't be resolved`);
        this.needs.push({ kind: 'address', url: source, line });
      } else if (open && ('https://'.startsWith(lower) || 'http://'.startsWith(lower))) {
        unsure(line, `${JSON.stringify(source)} may become an address`);
      } else if (/^(git@|git:\/\/|ssh:\/\/|github\.com\/)/.test(lower)) {
        this.needs.push({ kind: 'address', url: source, line });
      }
    }
  }
}

/** The sources of ADD: all words but the last; the JSON form too. */
function sources(words: string, line: number): readonly string[] {
  if (words.startsWith('[')) {
    try {
      const list: unknown = JSON.parse(words);
      if (Array.isArray(list) && list.every((item) => typeof item === 'string')) return list.slice(0, -1);
    } catch {
      // The engine reads a broken list as plain words.
    }
    unsure(line, 'a list that is no JSON');
  }
  return words.split(/\s+/).slice(0, -1);
}

function refuseHeredoc(rest: string, line: number): void {
  const odd = rest.includes('<<') && /[^\x20-\x7e\t]/.test(rest);
  if (odd || /(^|\s)\d*<<-?([^<\s]|$)/.test(rest)) unsure(line, 'here-documents need BuildKit');
}

/** The longest Dockerfile that is read, in characters; the parser's own limit is 64 KiB a line. */
export const dockerfileMax = 1024 * 1024;

/**
 * What a Dockerfile needs from outside its context.
 * @param buildArguments the build's arguments; null is one without a value
 * @throws DockerfileUnsure
 */
export function dockerfileNeeds(
  source: string,
  buildArguments: ReadonlyMap<string, string | null>,
): readonly DockerfileNeed[] {
  if (source.length > dockerfileMax) throw new DockerfileUnsure('the Dockerfile is longer than 1 MiB');
  if (source.includes('\0')) throw new DockerfileUnsure('the Dockerfile has a zero byte in it');
  const reader = new Reader(buildArguments);
  for (const line of logicalLines(source)) reader.instruction(line);
  return reader.needs;
}

/** What the ONBUILD triggers of a base image need. @throws DockerfileUnsure */
export function triggerNeeds(triggers: readonly string[]): readonly DockerfileNeed[] {
  return triggers.flatMap((trigger) => dockerfileNeeds(trigger, new Map()));
}
