/**
 * The verbs of the command line, in the order of the help.
 */
import { type Command, jsonOption, watchOption } from './command.js';

const badSettings = { 78: 'The settings are wrong.' } as const;

export const commands: readonly Command[] = [
  {
    name: 'run',
    summary: 'Run the daemon: proxy, allocator and runtime helper.',
    description: [
      'Serves the Docker API to clients, judges every request, and gives each container a range of ids of its own.',
      'Prints a summary with the line that points docker at it, then logs. SIGTERM lets requests under way finish; SIGHUP reads the settings again, which also happens by itself within a second of a change.',
      'Starts nothing unprotected: it ends with an error when the settings are wrong or when the engine lacks the runtime and setup is needed.',
    ],
    options: [],
    examples: [
      { command: 'cofferdam run', meaning: 'Use the engine of this host, or bring up the embedded one.' },
      {
        command: 'cofferdam run --engine unix:///run/docker.sock --settings ./admin-settings.json',
        meaning: 'Name the engine and the settings.',
      },
    ],
    exitCodes: badSettings,
    load: async () => (await import('./run.js')).run,
  },
  {
    name: 'setup',
    summary: 'Register the runtime with the engine.',
    description: [
      'Adds the runtime `sysbox-runc` to the daemon.json of the engine, makes it the default, and asks dockerd to reload. Everything else in the file is kept.',
    ],
    options: [
      {
        name: 'daemon-json',
        value: 'FILE',
        description: 'The configuration file of dockerd.',
        default: 'the one that dockerd was started with',
      },
      { name: 'dry-run', description: 'Only say what would change.' },
    ],
    examples: [{ command: 'cofferdam setup', meaning: 'Prepare the engine of this host.' }],
    load: async () => (await import('./setup.js')).setup,
  },
  {
    name: 'unsetup',
    summary: 'Take back what setup did.',
    description: [
      'Removes the runtime from daemon.json, gives the engine its default runtime back, and reloads it.',
    ],
    options: [
      {
        name: 'daemon-json',
        value: 'FILE',
        description: 'The configuration file of dockerd.',
        default: '/etc/docker/daemon.json',
      },
    ],
    examples: [{ command: 'cofferdam unsetup', meaning: 'Leave the engine as it was.' }],
    load: async () => (await import('./unsetup.js')).unsetup,
  },
  {
    name: 'check',
    summary: 'Check a settings file.',
    operands: '[FILE]',
    description: [
      'Says what is wrong with the settings: line, key, and what to write instead. Unknown keys are warnings, and keys of Docker Desktop without a meaning here are listed.',
      'Without FILE it checks the file that the daemon would use.',
    ],
    options: [jsonOption],
    examples: [
      { command: 'cofferdam check', meaning: 'Check the settings of this host.' },
      { command: 'cofferdam check ./admin-settings.json', meaning: 'Check a draft.' },
    ],
    exitCodes: badSettings,
    load: async () => (await import('./check.js')).check,
  },
  {
    name: 'explain',
    summary: 'Say what would be allowed, changed or refused, and why.',
    operands: '[RULE] | -- docker run …',
    description: [
      'Judges a command line or a request as the daemon would, rule by rule, and names the setting that decides. With the name of a rule it prints its page.',
    ],
    options: [
      { name: 'request', value: 'FILE', description: 'Judge the create request in this JSON file.' },
      { name: 'pull', value: 'IMAGE', description: 'Say whether this image may be pulled.' },
      {
        name: 'build',
        value: 'DIR',
        description: 'Say which images the Dockerfile in DIR needs and may have.',
      },
      jsonOption,
    ],
    examples: [
      {
        command: 'cofferdam explain -- docker run --privileged -v /:/host busybox',
        meaning: 'Judge a command line.',
      },
      { command: 'cofferdam explain runtime', meaning: 'Show the page of a rule.' },
    ],
    load: async () => (await import('./explain.js')).explain,
  },
  {
    name: 'status',
    summary: 'Show the daemon, the engine, the settings, and containers that are not isolated.',
    description: [
      'One screen: whether the daemon runs and is ready, the engine and its runtime, which settings hold and what is locked, and each container that is not isolated, with the reason.',
    ],
    options: [watchOption, jsonOption],
    examples: [
      { command: 'cofferdam status', meaning: 'Show it once.' },
      { command: 'cofferdam status --json', meaning: 'For programs.' },
    ],
    exitCodes: { 3: 'The daemon is not running, or not ready.' },
    load: async () => (await import('./status.js')).status,
  },
  {
    name: 'adopt',
    summary: 'Make containers isolated that were made without isolation.',
    operands: 'CONTAINER...',
    description: [
      'Stops the container, keeps its files as an image, and makes it anew through cofferdam with the same configuration, volumes, networks and name; it runs again if it ran before. What an isolated container may not have is said, and everything is as it was.',
      'For root: the engine’s own socket is needed.',
    ],
    options: [jsonOption],
    examples: [{ command: 'cofferdam adopt web db', meaning: 'Isolate two containers.' }],
    load: async () => (await import('./adopt.js')).adopt,
  },
  {
    name: 'ranges',
    summary: 'Show which ids belong to which container.',
    description: [
      "Lists the ranges in use, from the ledger in the state folder; the daemon need not run. Rows called (files) are the ids on disk that a caller's bind mounts use for everybody but the caller, the same for ever.",
    ],
    options: [watchOption, jsonOption],
    examples: [{ command: 'cofferdam ranges', meaning: 'Show every range in use.' }],
    load: async () => (await import('./ranges.js')).ranges,
  },
  {
    name: 'isolation',
    summary: 'Show whether containers are isolated, or switch it where it is not locked.',
    operands: '[on | off | default]',
    choices: ['on', 'off', 'default'],
    description: [
      'Without an operand it shows what holds. `on` and `off` switch it for the whole host, `default` goes back to what the settings say. It holds for containers made from then on, and is kept over restarts.',
      'Refused where the administrator has locked it. Every switch is audited.',
    ],
    options: [jsonOption],
    examples: [
      { command: 'cofferdam isolation', meaning: 'What holds?' },
      { command: 'cofferdam isolation off', meaning: 'Make new containers without isolation.' },
    ],
    load: async () => (await import('./isolation.js')).isolation,
  },
  {
    name: 'audit',
    summary: 'Show, follow or verify the audit log.',
    description: [
      'Every request leaves a record on every exit: who, what, the verdict, the rules that found something, and what was rewritten. Bodies, environment values and credentials are never in it.',
      'Each record is chained to the one before it by a hash. `--verify` reads the whole log and shows where one was changed, removed or added; its last line names the head of the chain, to compare with a copy elsewhere.',
    ],
    options: [
      { name: 'follow', short: 'f', description: 'Show new records as they come.' },
      watchOption,
      { name: 'denied', short: 'd', description: 'Show refusals only.' },
      { name: 'warned', description: 'Show what was allowed with a warning; with --denied, both.' },
      {
        name: 'lines',
        short: 'n',
        value: 'COUNT',
        description: 'How many of the last records to show.',
        default: '50',
      },
      {
        name: 'verify',
        description: 'Check the chain; exit code 1 when it is broken, or when there is no log.',
      },
      jsonOption,
    ],
    examples: [
      { command: 'cofferdam audit --follow --denied', meaning: 'Watch what is refused.' },
      { command: 'cofferdam audit --verify', meaning: 'Is the log whole?' },
      {
        command: "cofferdam audit --json --lines 1000 | jq 'select(.caller.uid == 1000)'",
        meaning: 'What did uid 1000 do?',
      },
    ],
    load: async () => (await import('./audit.js')).audit,
  },
  {
    name: 'doctor',
    summary: 'Prove that isolation works here, and say what is missing.',
    description: [
      "Tries what isolation needs: the kernel, mounts with shifted owners on the file systems in use, the backend, the engine and its runtimes, the ledger, and who reaches the engine past cofferdam. Then it starts a real container, and a real build by each of the engine’s builders, made from the host's own shell, and looks which ids they have.",
      'With --repair it first takes away what only a crash of the whole machine can leave: mounts of starts that are over, and files of the ledger that a power cut has torn, which are moved aside where no container of the engine needs them.',
      'Each line says ok, not ok, or what could be better, and what to do.',
    ],
    options: [
      { name: 'repair', description: 'Take away what a crash of the machine left, then examine.' },
      jsonOption,
    ],
    examples: [
      { command: 'cofferdam doctor', meaning: 'Examine this host.' },
      { command: 'cofferdam doctor --repair', meaning: 'After a power cut.' },
    ],
    exitCodes: { 1: 'Something that isolation needs is missing.' },
    load: async () => (await import('./doctor.js')).doctor,
  },
  {
    name: 'learn',
    summary: 'Propose settings out of an audit log.',
    operands: '[LOG]',
    description: [
      'Prints the smallest settings under which everything in the log would have worked: registries and repositories that were pulled from and pushed to, images that wanted the Docker socket, and the commands that containers used over it. What was refused counts as wanted: read the proposal before you use it.',
      "Without LOG it reads this host's own; LOG can be a file or a folder of them.",
    ],
    options: [],
    examples: [
      { command: 'cofferdam learn > draft.json', meaning: 'Begin with what this host really does.' },
    ],
    load: async () => (await import('./learn.js')).learn,
  },
  {
    name: 'replay',
    summary: 'Say which past requests would get another verdict under new settings.',
    operands: '[LOG]',
    description: [
      'Judges the requests of an audit log by the settings that --settings names. The log has no bodies: so it speaks of registries, images, sockets and their commands, and images from files. A request that another rule refused counts as refused.',
    ],
    options: [jsonOption],
    examples: [
      {
        command: 'cofferdam replay --settings draft.json',
        meaning: 'What would the draft refuse that works today?',
      },
    ],
    exitCodes: { 1: 'Some requests would get another verdict.', 78: 'The settings are wrong.' },
    load: async () => (await import('./learn.js')).replay,
  },
  {
    name: 'install',
    summary: 'Run as a systemd service in the place of the Docker socket.',
    description: [
      "Registers the runtime (`cofferdam setup`), moves the engine's own socket into a folder that only root can enter, and starts the daemon, which takes over /run/docker.sock. Live containers and open connections go on: nothing is restarted.",
      'Clients need no change. When a step fails, everything is put back. Run again, it brings an installation up to date.',
    ],
    options: [{ name: 'dry-run', description: 'Say what would be done, and do nothing.' }],
    examples: [
      { command: 'cofferdam install --dry-run', meaning: 'What would it do?' },
      { command: 'cofferdam install', meaning: 'Do it.' },
    ],
    load: async () => (await import('./install.js')).install,
  },
  {
    name: 'uninstall',
    summary: 'Take back what install did.',
    description: [
      "Stops the service, gives the engine's socket its place, owner and mode back, removes the units, and takes the runtime out of daemon.json. Containers that were made isolated need the runtime to start again. The state folder is kept.",
    ],
    options: [],
    examples: [{ command: 'cofferdam uninstall', meaning: 'Back to the plain engine.' }],
    load: async () => (await import('./install.js')).uninstall,
  },
  {
    name: 'completion',
    summary: 'Print the completion script of a shell.',
    operands: 'bash | zsh | fish',
    choices: ['bash', 'zsh', 'fish'],
    description: [
      'Prints a script that completes verbs, options and their values. Packages install it for you.',
    ],
    options: [],
    examples: [
      { command: 'source <(cofferdam completion bash)', meaning: 'Complete in this shell.' },
      {
        command: 'cofferdam completion fish > ~/.config/fish/completions/cofferdam.fish',
        meaning: 'For good, in fish.',
      },
    ],
    load: async () => (await import('./completion.js')).completion,
  },
];

/** The description of a verb. */
export function findCommand(name: string): Command | undefined {
  return commands.find((command) => command.name === name);
}
