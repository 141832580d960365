/**
 * The command line: finds the verb, loads its code and runs it. Turns what goes wrong into one readable line and
 * an exit code: 1 it failed, 2 the command line is wrong, 78 (EX_CONFIG of sysexits.h) the settings are wrong.
 */
import { readFileSync } from 'node:fs';
import { SettingsProblem } from '../settings/problem.js';
import { nearest } from '../settings/suggest.js';
import { commands, findCommand } from './commands.js';
import { commandHelp, generalHelp } from './help.js';
import { UsageError } from './options.js';
import { complain, print } from './output.js';

/** The version in package.json. */
export function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return /"version":\s*"([^"]+)"/.exec(text)?.[1] ?? 'unknown';
}

function asksForHelp(argv: readonly string[]): boolean {
  const end = argv.indexOf('--');
  const own = end === -1 ? argv : argv.slice(0, end);
  return own.includes('--help') || own.includes('-h');
}

function unknownVerb(name: string): UsageError {
  const near = nearest(
    name,
    commands.map((command) => command.name),
  );
  return new UsageError(`unknown verb ${name}${near === undefined ? '' : `; did you mean ${near}?`}`);
}

async function dispatch(argv: readonly string[], environment: NodeJS.ProcessEnv): Promise<number> {
  const [name, ...rest] = argv;
  if (name === undefined) {
    process.stderr.write(generalHelp());
    return 2;
  }
  if (name === '--version' || name === '-v' || name === 'version') {
    print(`cofferdam ${version()}`);
    return 0;
  }
  const topic = name === 'help' ? rest[0] : undefined;
  if (name === '--help' || name === '-h' || (name === 'help' && topic === undefined)) {
    process.stdout.write(generalHelp());
    return 0;
  }
  const command = findCommand(topic ?? name);
  if (command === undefined) throw unknownVerb(topic ?? name);
  if (topic !== undefined || asksForHelp(rest)) {
    process.stdout.write(commandHelp(command));
    return 0;
  }
  const verb = await command.load();
  return verb(rest, environment);
}

/** Says what went wrong, and gives the exit code. */
function report(error: unknown): number {
  if (error instanceof UsageError) {
    complain(error.message);
    complain(`try \`cofferdam ${error.verb === undefined ? '' : `${error.verb} `}--help\``);
    return 2;
  }
  if (error instanceof SettingsProblem) {
    for (const line of error.message.split('\n')) complain(line);
    return 78;
  }
  complain(error instanceof Error ? error.message : String(error));
  if (process.env['COFFERDAM_TRACE'] && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  return 1;
}

/** Runs the command line; gives the exit code and never throws. */
export async function main(argv: readonly string[], environment: NodeJS.ProcessEnv): Promise<number> {
  // A reader that has seen enough (`| head`) ends the program quietly.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
  try {
    return await dispatch(argv, environment);
  } catch (error) {
    return report(error);
  }
}
