/**
 * The man pages, in roff, made from the same descriptions as the help (man-pages(7) for the order of sections).
 */
import { type Command, commonOptions, type Option } from './command.js';
import { commands } from './commands.js';
import { exitCodes, optionText } from './help.js';

/** Escapes text for roff: backslashes, minus signs that must stay ASCII, and control characters at a line's start. */
function roff(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replace(/`([^`]+)`/g, '\\fB$1\\fR')
    .replace(/^([.'])/gm, '\\&$1');
}

function heading(name: string, version: string): string {
  return `.TH ${name.toUpperCase()} 1 "" "cofferdam ${version}" "User Commands"`;
}

function optionEntry(option: Option): string {
  const short = option.short === undefined ? '' : `\\fB\\-${option.short}\\fR, `;
  const value = option.value === undefined ? '' : ` \\fI${roff(option.value)}\\fR`;
  return `.TP\n${short}\\fB\\-\\-${roff(option.name)}\\fR${value}\n${roff(optionText(option))}`;
}

function environmentSection(): string {
  const entries = commonOptions.flatMap((option) =>
    option.environment === undefined
      ? []
      : [`.TP\n\\fB${option.environment}\\fR\nThe same as \\fB\\-\\-${roff(option.name)}\\fR.`],
  );
  return ['.SH ENVIRONMENT', ...entries].join('\n');
}

/** The page of a verb, `cofferdam-VERB(1)`. */
export function commandManual(command: Command, version: string): string {
  const operands = command.operands === undefined ? '' : ` ${roff(command.operands)}`;
  return `${[
    heading(`cofferdam-${command.name}`, version),
    '.SH NAME',
    `cofferdam\\-${command.name} \\- ${roff(command.summary.replace(/\.$/, ''))}`,
    '.SH SYNOPSIS',
    `\\fBcofferdam ${command.name}\\fR [\\fIOPTIONS\\fR]${operands}`,
    '.SH DESCRIPTION',
    ...command.description.flatMap((paragraph) => ['.PP', roff(paragraph)]),
    '.SH OPTIONS',
    ...[...command.options, ...commonOptions].map(optionEntry),
    '.SH EXIT STATUS',
    ...exitCodes(command).map(([code, meaning]) => `.TP\n${code}\n${roff(meaning)}`),
    environmentSection(),
    '.SH EXAMPLES',
    ...command.examples.map((example) => `.TP\n${roff(example.meaning)}\n.nf\n${roff(example.command)}\n.fi`),
    '.SH SEE ALSO',
    '\\fBcofferdam\\fR(1)',
  ].join('\n')}\n`;
}

/** The general page, `cofferdam(1)`. */
export function generalManual(version: string): string {
  return `${[
    heading('cofferdam', version),
    '.SH NAME',
    'cofferdam \\- Enhanced Container Isolation for every Docker Engine on Linux',
    '.SH SYNOPSIS',
    '\\fBcofferdam\\fR \\fIVERB\\fR [\\fIOPTIONS\\fR]',
    '.SH DESCRIPTION',
    'Stands in front of the Docker socket and under the containers: each container gets a user namespace with a range of ids of its own, every API request is judged before the engine sees it, and access to the Docker socket is no longer access to root.',
    '.SH VERBS',
    ...commands.map(
      (command) =>
        `.TP\n\\fB${command.name}\\fR\n${roff(command.summary)} See \\fBcofferdam\\-${command.name}\\fR(1).`,
    ),
    '.SH OPTIONS',
    ...commonOptions.map(optionEntry),
    environmentSection(),
    '.SH FILES',
    '.TP\n\\fI/etc/cofferdam/admin\\-settings.json\\fR\nThe settings of the administrator.',
    '.TP\n\\fI/var/lib/cofferdam\\fR\nLedger, audit log, embedded engine.',
    '.TP\n\\fI/run/cofferdam\\fR\nSockets, namespaces, mounts.',
    '.SH SEE ALSO',
    '\\fBdocker\\fR(1), \\fBuser_namespaces\\fR(7)',
  ].join('\n')}\n`;
}
