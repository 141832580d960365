/**
 * How a verb of the command line is described. Help texts, man pages and shell completions are all made from
 * these descriptions; the code of a verb is loaded only when it is called.
 */

/** The code of a verb: gets what stands after it, and gives the exit code. */
export type Verb = (argv: readonly string[], environment: NodeJS.ProcessEnv) => Promise<number>;

export interface Option {
  /** Without the dashes. */
  readonly name: string;
  readonly short?: string;
  /** What stands for the value in the help; absent for a switch. */
  readonly value?: string;
  readonly repeatable?: boolean;
  readonly description: string;
  /** The environment variable that is used when the option isn't there. */
  readonly environment?: string;
  /** The default in words, for the help. */
  readonly default?: string;
}

export interface Example {
  readonly command: string;
  readonly meaning: string;
}

export interface Command {
  readonly name: string;
  /** One line for the list of verbs. */
  readonly summary: string;
  /** What follows the options: `[FILE]`, `-- docker run …`. */
  readonly operands?: string;
  /** The words that the first operand can be, for completion and for errors. */
  readonly choices?: readonly string[];
  /** Paragraphs for the help and the man page. */
  readonly description: readonly string[];
  /** Options of its own, besides the common ones. */
  readonly options: readonly Option[];
  readonly examples: readonly Example[];
  /** Exit codes besides 0, 1 and 2. */
  readonly exitCodes?: Readonly<Record<number, string>>;
  readonly load: () => Promise<Verb>;
}

/** Options of every verb. */
export const commonOptions: readonly Option[] = [
  {
    name: 'listen',
    value: 'ADDRESS',
    repeatable: true,
    description: 'Where docker clients connect, as unix:///PATH.',
    environment: 'COFFERDAM_LISTEN',
    default: '/run/docker.sock once installed, else docker.sock in the run folder',
  },
  {
    name: 'engine',
    value: 'ADDRESS',
    description: 'The real engine, as unix:///PATH.',
    environment: 'COFFERDAM_ENGINE',
    default: 'where `install` put it; else DOCKER_HOST, /run/docker.sock, the embedded engine',
  },
  {
    name: 'settings',
    value: 'FILE',
    description: 'The settings file.',
    environment: 'COFFERDAM_SETTINGS',
    default: '/etc/cofferdam/admin-settings.json, else the shipped one',
  },
  {
    name: 'state',
    value: 'DIR',
    description: 'What outlives a reboot: ledger, audit log, embedded engine.',
    environment: 'COFFERDAM_STATE',
    default: '/var/lib/cofferdam',
  },
  {
    name: 'run-dir',
    value: 'DIR',
    description: 'What does not: sockets, namespaces, mounts.',
    environment: 'COFFERDAM_RUN_DIR',
    default: '/run/cofferdam',
  },
  { name: 'help', short: 'h', description: 'Show this help.' },
];

/** For verbs with output that programs read. */
export const jsonOption: Option = { name: 'json', description: 'Print JSON for programs.' };

/** For screens that follow what happens. */
export const watchOption: Option = {
  name: 'watch',
  short: 'w',
  description: 'Show it again every two seconds, until interrupted.',
};
