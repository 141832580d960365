/**
 * `cofferdam completion SHELL`: completion for bash, zsh and fish, made from the same descriptions as the help.
 */
import { type Command, commonOptions, type Option } from './command.js';
import { commands } from './commands.js';
import { parseOptions, UsageError } from './options.js';

/** Options whose value is a file or a folder. */
function namesFile(option: Option): boolean {
  return option.value === 'FILE' || option.value === 'DIR';
}

function flags(command: Command): readonly Option[] {
  return [...command.options, ...commonOptions];
}

function bash(): string {
  const cases = commands.map((command) => {
    const words = [...flags(command).map((option) => `--${option.name}`), ...(command.choices ?? [])];
    return `    ${command.name}) words="${words.join(' ')}" ;;`;
  });
  const fileFlags = [
    ...new Set(
      commands
        .flatMap(flags)
        .filter(namesFile)
        .map((option) => `--${option.name}`),
    ),
  ];
  return `# bash completion for cofferdam
_cofferdam() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} words=""
  COMPREPLY=()
  case $previous in
    ${fileFlags.join('|')}) COMPREPLY=($(compgen -f -- "$current")); return ;;
  esac
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${commands.map((command) => command.name).join(' ')} help version" -- "$current"))
    return
  fi
  case \${COMP_WORDS[1]} in
${cases.join('\n')}
    help) words="${commands.map((command) => command.name).join(' ')}" ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  [ \${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- "$current"))
}
complete -o filenames -F _cofferdam cofferdam
`;
}

/** Quotes for a single-quoted word of zsh or fish. */
function single(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function zsh(): string {
  const specification = (option: Option): string => {
    const text = option.description.replace(/[[\]:\\]/g, '\\$&');
    const value = option.value === undefined ? '' : `:${option.value}:${namesFile(option) ? '_files' : ''}`;
    return single(`${option.repeatable === true ? '*' : ''}--${option.name}[${text}]${value}`);
  };
  const cases = commands.map((command) => {
    const operands =
      command.choices === undefined ? "'*:file:_files'" : `'1:choice:(${command.choices.join(' ')})'`;
    return `    ${command.name}) _arguments ${[...flags(command).map(specification), operands].join(' ')} ;;`;
  });
  const verbs = commands.map((command) =>
    single(`${command.name}:${command.summary.replaceAll(':', '\\:')}`),
  );
  return `#compdef cofferdam
_cofferdam() {
  local -a verbs=(${verbs.join(' ')})
  if (( CURRENT == 2 )); then
    _describe verb verbs
    return
  fi
  local verb=$words[2]
  shift words
  (( CURRENT-- ))
  case $verb in
${cases.join('\n')}
  esac
}
_cofferdam "$@"
`;
}

function fish(): string {
  const verbs = commands.map(
    (command) =>
      `complete -c cofferdam -f -n __fish_use_subcommand -a ${command.name} -d ${single(command.summary)}`,
  );
  const options = commands.flatMap((command) =>
    flags(command).map((option) => {
      const short = option.short === undefined ? '' : ` -s ${option.short}`;
      const value = option.value === undefined ? '' : namesFile(option) ? ' -r -F' : ' -x';
      const seen = single(`__fish_seen_subcommand_from ${command.name}`);
      return `complete -c cofferdam -n ${seen} -l ${option.name}${short}${value} -d ${single(option.description)}`;
    }),
  );
  const choices = commands.flatMap((command) =>
    command.choices === undefined
      ? []
      : [
          `complete -c cofferdam -f -n ${single(`__fish_seen_subcommand_from ${command.name}`)} -a ${single(command.choices.join(' '))}`,
        ],
  );
  return `# fish completion for cofferdam\n${[...verbs, ...options, ...choices].join('\n')}\n`;
}

const shells: Readonly<Record<string, () => string>> = { bash, zsh, fish };

/** The completion script of a shell; `undefined` for one that isn't known. */
export function completionScript(shell: string): string | undefined {
  return Object.hasOwn(shells, shell) ? shells[shell]?.() : undefined;
}

/** Prints the completion script of a shell. */
export async function completion(argv: readonly string[], environment: NodeJS.ProcessEnv): Promise<number> {
  const { operands } = parseOptions('completion', argv, environment);
  const script = operands.length === 1 ? completionScript(operands[0] ?? '') : undefined;
  if (script === undefined)
    throw new UsageError(`name a shell: ${Object.keys(shells).join(', ')}`, 'completion');
  process.stdout.write(script);
  return 0;
}
