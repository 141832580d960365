/**
 * Reads the options of a verb: flags first, then the environment, then the defaults.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { nearest } from '../settings/suggest.js';
import { type Command, commonOptions, type Option } from './command.js';
import { findCommand } from './commands.js';
import { dockerSocket, engineSocketPath, hostHasInstallation } from './installed-paths.js';

/** The command line was wrong; ends the program with exit code 2. */
export class UsageError extends Error {
  readonly code = 'COFFERDAM_USAGE';

  constructor(
    message: string,
    /** The verb whose help answers it. */
    readonly verb?: string,
  ) {
    super(message);
    this.name = 'UsageError';
  }
}

/** Options of a verb with defaults filled in. */
export interface Options {
  /** Addresses as given, `unix:///PATH`; at least one. */
  readonly listen: readonly string[];
  readonly engine: string | undefined;
  readonly settings: string | undefined;
  readonly state: string;
  readonly runDir: string;
  readonly json: boolean;
  /** What isn't an option, in order; after `--` everything. */
  readonly operands: readonly string[];
  /** Options of the verb's own that take a value. */
  readonly values: ReadonlyMap<string, string>;
  /** Switches that were given. */
  readonly switches: ReadonlySet<string>;
}

/** Every option of a verb. */
export function optionsOf(command: Command): readonly Option[] {
  return [...command.options, ...commonOptions];
}

function parseTokens(command: Command, argv: readonly string[]) {
  const known = optionsOf(command);
  const options = Object.fromEntries(
    known.map((option) => [
      option.name,
      {
        type: option.value === undefined ? ('boolean' as const) : ('string' as const),
        ...(option.short === undefined ? {} : { short: option.short }),
      },
    ]),
  );
  const { tokens } = parseArgs({ args: [...argv], options, strict: false, tokens: true });
  return tokens;
}

function unknownOption(command: Command, written: string): UsageError {
  const names = optionsOf(command).map((option) => `--${option.name}`);
  const near = nearest(written, names);
  const hint = near === undefined ? '' : `; did you mean ${near}?`;
  return new UsageError(`unknown option ${written}${hint}`, command.name);
}

/** A Unix socket's address, as docker clients write it. */
export function checkAddress(address: string, flag: string, verb?: string): string {
  if (!/^unix:\/\/\/[^\0]+$/.test(address)) {
    throw new UsageError(`${flag} must be unix:///PATH, not ${JSON.stringify(address)}`, verb);
  }
  return address;
}

/** The path of a Unix socket's address. */
export function socketPath(address: string): string {
  return address.slice('unix://'.length);
}

/**
 * Reads the options of a verb. Throws a UsageError that names what is wrong and the nearest right word.
 */
export function parseOptions(verb: string, argv: readonly string[], environment: NodeJS.ProcessEnv): Options {
  const command = findCommand(verb);
  if (command === undefined) throw new UsageError(`unknown verb ${verb}`);
  const known = new Map(optionsOf(command).map((option) => [option.name, option]));
  const given = new Map<string, string[]>();
  const switches = new Set<string>();
  const operands: string[] = [];
  for (const token of parseTokens(command, argv)) {
    if (token.kind === 'positional') operands.push(token.value);
    if (token.kind !== 'option') continue;
    const option = known.get(token.name);
    if (option === undefined) throw unknownOption(command, token.rawName);
    if (option.value === undefined) {
      if (token.value !== undefined) throw new UsageError(`${token.rawName} takes no value`, verb);
      switches.add(option.name);
      continue;
    }
    if (token.value === undefined || (token.inlineValue === false && token.value.startsWith('-'))) {
      throw new UsageError(`${token.rawName} needs a value: ${option.value}`, verb);
    }
    if (given.has(option.name) && option.repeatable !== true) {
      throw new UsageError(`${token.rawName} can be given once`, verb);
    }
    given.set(option.name, [...(given.get(option.name) ?? []), token.value]);
  }
  if (command.operands === undefined && operands.length > 0) {
    throw new UsageError(`unexpected operand ${JSON.stringify(operands[0])}`, verb);
  }
  return complete(command, given, switches, operands, environment);
}

function complete(
  command: Command,
  given: ReadonlyMap<string, readonly string[]>,
  switches: ReadonlySet<string>,
  operands: readonly string[],
  environment: NodeJS.ProcessEnv,
): Options {
  const one = (name: string, variable: string): string | undefined =>
    given.get(name)?.[0] ?? (environment[variable] || undefined);
  const ownRunDir = one('run-dir', 'COFFERDAM_RUN_DIR');
  const runDir = ownRunDir ?? '/run/cofferdam';
  const installed = ownRunDir === undefined && hostHasInstallation();
  const engine = one('engine', 'COFFERDAM_ENGINE') ?? (installed ? `unix://${engineSocketPath}` : undefined);
  const fromEnvironment = (environment['COFFERDAM_LISTEN'] ?? '')
    .split(/[\s,]+/)
    .filter((part) => part !== '');
  const listen = given.get('listen') ?? fromEnvironment;
  const own = command.options.filter((option) => option.value !== undefined);
  return {
    listen:
      listen.length === 0
        ? [`unix://${installed ? dockerSocket : join(runDir, 'docker.sock')}`]
        : listen.map((address) => checkAddress(address, '--listen', command.name)),
    engine: engine === undefined ? undefined : checkAddress(engine, '--engine', command.name),
    settings: one('settings', 'COFFERDAM_SETTINGS'),
    state: one('state', 'COFFERDAM_STATE') ?? '/var/lib/cofferdam',
    runDir,
    json: switches.has('json'),
    operands,
    values: new Map(
      own.flatMap((option) => {
        const value = given.get(option.name)?.[0];
        return value === undefined ? [] : [[option.name, value] as const];
      }),
    ),
    switches,
  };
}
