/**
 * The help texts, made from the descriptions of the verbs.
 */
import { type Command, commonOptions, type Option } from './command.js';
import { commands } from './commands.js';

const textWidth = 96;

/** Breaks a paragraph into lines. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}

/** Two columns, the second one wrapped. */
function columns(rows: readonly (readonly [string, string])[]): string[] {
  const left = Math.max(...rows.map(([name]) => name.length)) + 4;
  return rows.flatMap(([name, text]) =>
    wrap(text, textWidth - left).map(
      (line, index) => `${(index === 0 ? `  ${name}` : '').padEnd(left)}${line}`,
    ),
  );
}

/** `-w, --watch` or `--state DIR`. */
export function optionTitle(option: Option): string {
  const short = option.short === undefined ? '' : `-${option.short}, `;
  const value = option.value === undefined ? '' : ` ${option.value}`;
  return `${short}--${option.name}${value}`;
}

/** An option's description with where else it can come from. */
export function optionText(option: Option): string {
  const extra = [
    ...(option.repeatable === true ? ['can be repeated'] : []),
    ...(option.environment === undefined ? [] : [`environment: ${option.environment}`]),
    ...(option.default === undefined ? [] : [`default: ${option.default}`]),
  ];
  return extra.length === 0 ? option.description : `${option.description} (${extra.join('; ')})`;
}

function optionRows(options: readonly Option[]): string[] {
  return columns(options.map((option) => [optionTitle(option), optionText(option)]));
}

/** `cofferdam check [OPTIONS] [FILE]`. */
export function usage(command: Command): string {
  return [
    'cofferdam',
    command.name,
    '[OPTIONS]',
    ...(command.operands === undefined ? [] : [command.operands]),
  ].join(' ');
}

/** The exit codes of a verb, the general ones included. */
export function exitCodes(command: Command): readonly (readonly [string, string])[] {
  const general: Readonly<Record<number, string>> = {
    0: 'Success.',
    1: 'It failed.',
    2: 'The command line is wrong.',
  };
  return Object.entries({ ...general, ...command.exitCodes });
}

/** The help of one verb. */
export function commandHelp(command: Command): string {
  return [
    `Usage: ${usage(command)}`,
    '',
    ...command.description.flatMap((paragraph) => [...wrap(paragraph, textWidth), '']),
    ...(command.options.length === 0 ? [] : ['Options:', ...optionRows(command.options), '']),
    'Common options:',
    ...optionRows(commonOptions),
    '',
    'Examples:',
    ...command.examples.flatMap((example) => [`  # ${example.meaning}`, `  ${example.command}`]),
    '',
    'Exit codes:',
    ...columns(exitCodes(command)),
    '',
  ].join('\n');
}

/** What `cofferdam --help` shows. */
export function generalHelp(): string {
  return [
    'Usage: cofferdam VERB [OPTIONS]',
    '',
    'Enhanced Container Isolation for every Docker Engine on Linux: each container gets a user namespace',
    'with a range of ids of its own, and access to the Docker socket is no longer access to root.',
    '',
    'Verbs:',
    ...columns(commands.map((command) => [command.name, command.summary])),
    '',
    '`cofferdam VERB --help` explains a verb, with examples.',
    '',
  ].join('\n');
}
