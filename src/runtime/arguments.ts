/**
 * The command line of an OCI runtime, as containerd's shim, BuildKit and people write it for runc: global options,
 * a verb, its options, the container's id. Options that aren't known are refused, because skipping one might take
 * its value for the verb.
 */
import { resolve } from 'node:path';
import { RuntimeRefusal } from './refusal.js';

/** Options that take a value (`runc --help`, `runc create --help`, `runc run --help`; crun has the same). */
const valued = new Set([
  'bundle',
  'console-socket',
  'criu',
  'log',
  'log-format',
  'pid-file',
  'pidfd-socket',
  'preserve-fds',
  'root',
  'rootless',
]);
const shortNames: Readonly<Record<string, string>> = { b: 'bundle', d: 'detach' };
const switches = new Set([
  'debug',
  'detach',
  'keep',
  'no-new-keyring',
  'no-pivot',
  'no-subreaper',
  'systemd-cgroup',
]);

/** Names a folder of ours as well: never `.` or `..`, never with a slash. */
export const containerIdPattern = /^\w[\w+.-]{0,200}$/;

/** What of the command line the preparation needs. */
export interface CreateArguments {
  readonly verb: 'create' | 'run';
  readonly id: string;
  /** Absolute path of the bundle's folder. */
  readonly bundle: string;
  /** Where runc would write its log, and how; the caller reads errors from there. */
  readonly log?: string | undefined;
  readonly logFormat: 'json' | 'text';
  /** Where the backend writes the id of the container's first process. */
  readonly pidFile?: string | undefined;
  /** True when cgroups are made by systemd, so that `cgroupsPath` is `slice:prefix:name`. */
  readonly systemdCgroup: boolean;
}

/** The verb of a command line; `undefined` where there is none (`--version`, `--help`). */
export function verbOf(argv: readonly string[]): string | undefined {
  return parse(argv).words[0];
}

/**
 * The arguments of a `create` or `run`.
 * @param folder the working directory of the call: the bundle's default, and the base of relative paths
 * @throws RuntimeRefusal COFFERDAM_RUNTIME_BUNDLE for anything that can't be understood
 */
export function parseCreate(argv: readonly string[], folder: string): CreateArguments {
  const { words, options } = parse(argv);
  const [verb, id, ...rest] = words;
  if (verb !== 'create' && verb !== 'run') throw misunderstood(`"${verb ?? ''}" makes no container`);
  if (id === undefined || rest.length > 0) throw misunderstood('exactly one container id is expected');
  if (!containerIdPattern.test(id)) throw misunderstood(`"${id}" is no container id`);
  const log = options.get('log');
  const pidFile = options.get('pid-file');
  return {
    verb,
    id,
    bundle: resolve(folder, options.get('bundle') ?? '.'),
    log: log === undefined || log === '' ? undefined : resolve(folder, log),
    logFormat: options.get('log-format') === 'json' ? 'json' : 'text',
    pidFile: pidFile === undefined || pidFile === '' ? undefined : resolve(folder, pidFile),
    systemdCgroup: options.has('systemd-cgroup') && options.get('systemd-cgroup') !== 'false',
  };
}

/** The log options alone, for a complaint about a command line that can't be understood otherwise. */
export function logOf(argv: readonly string[]): Pick<CreateArguments, 'log' | 'logFormat'> {
  const value = (name: string): string | undefined => {
    const at = argv.indexOf(`--${name}`);
    return at < 0 ? undefined : argv[at + 1];
  };
  return { log: value('log'), logFormat: value('log-format') === 'json' ? 'json' : 'text' };
}

function misunderstood(what: string): RuntimeRefusal {
  return new RuntimeRefusal('COFFERDAM_RUNTIME_BUNDLE', `cofferdam-runtime: ${what}`);
}

function parse(argv: readonly string[]): { words: string[]; options: Map<string, string> } {
  const words: string[] = [];
  const options = new Map<string, string>();
  const rest = [...argv];
  for (let argument = rest.shift(); argument !== undefined; argument = rest.shift()) {
    if (!argument.startsWith('-') || argument === '-') {
      words.push(argument);
      continue;
    }
    // Go's flag package takes one dash and two alike.
    const [written = '', inline] = splitOnce(argument.replace(/^--?/, ''), '=');
    const name = shortNames[written] ?? written;
    if (valued.has(name)) {
      const value = inline ?? rest.shift();
      if (value === undefined) throw misunderstood(`--${name} lacks its value`);
      options.set(name, value);
    } else if (switches.has(name)) {
      options.set(name, inline ?? 'true');
    } else if (name === 'version' || name === 'help' || name === 'v' || name === 'h') {
      return { words: [], options };
    } else {
      throw misunderstood(`--${name} is not known`);
    }
  }
  return { words, options };
}

function splitOnce(text: string, separator: string): [string, string | undefined] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}
