/** Processes: users, capabilities, streams, exit codes, exec. */
import { background, exec, inside, none, remove, script, type VerbRow } from '../verb-row.js';

export const processRows: readonly VerbRow[] = [
  { name: 'root is root', steps: [inside('id')] },
  { name: 'exit codes', steps: [0, 1, 42].map((code) => script(`exit ${code}`)) },
  { name: 'a program that is missing or no program', steps: [inside('/no/such'), inside('/etc/passwd')] },
  { name: 'a program that dies of a signal', steps: [script('kill -9 $$'), script('kill -SEGV $$')] },
  { name: 'user', steps: [script('id; touch /tmp/f; ls -ln /tmp/f; touch /root/f', '--user', '999:999')] },
  { name: 'user by name, group-add', steps: [script('id', '--user', 'app', '--group-add', '7')] },
  { name: 'capabilities by default', steps: [script('grep -E "^(Cap|NoNew|Seccomp:)" /proc/self/status')] },
  {
    name: 'cap-add, cap-drop',
    steps: [
      script('grep ^Cap /proc/self/status', '--cap-drop', 'ALL', '--cap-add', 'CHOWN'),
      script('grep ^Cap /proc/self/status', '--cap-add', 'SYS_ADMIN'),
    ],
  },
  {
    name: 'no-new-privileges, seccomp',
    steps: [
      script('grep -E "^(NoNew|Seccomp:)" /proc/self/status', '--security-opt', 'no-new-privileges'),
      script('grep -E "^(NoNew|Seccomp:)" /proc/self/status', '--security-opt', 'seccomp=unconfined'),
    ],
  },
  { name: 'init', steps: [script('cat /proc/1/cmdline | tr "\\0" " "', '--init')] },
  {
    name: 'work folder, entry point, environment, labels',
    steps: [
      [
        'run',
        '--rm',
        ...none,
        '--workdir',
        '/new/one',
        '--entrypoint',
        'sh',
        '--env',
        'A=b c',
        'busybox',
        '-c',
        'pwd; echo $A; stat -c %u:%g .',
      ],
    ],
  },
  {
    name: 'standard input',
    steps: [['run', '--rm', '--interactive', ...none, 'busybox', 'sh', '-c', 'cat; wc -c < /dev/stdin']],
    input: { 0: 'some words\n' },
  },
  {
    name: 'streams by name',
    steps: [
      script('echo out > /dev/stdout; echo err > /dev/stderr; ls -lLn /dev/stdout | cut -c1-10'),
      script('echo out > /dev/stdout', '--user', '999'),
    ],
  },
  {
    name: 'exec',
    steps: [
      background(),
      exec('id; pwd; echo $A', '--env', 'A=b', '--workdir', '/tmp', '--user', '999'),
      exec('exit 3'),
      exec('cat', '--interactive'),
      exec('echo o > /dev/stdout; echo e > /dev/stderr'),
      ['exec', 'NAME', '/no/such'],
      remove,
    ],
    input: { 3: 'typed\n' },
  },
  {
    name: 'exec, privileged',
    since: '26.1',
    steps: [background(), exec('grep CapEff /proc/self/status', '--privileged'), remove],
  },
  {
    name: 'attach',
    steps: [
      [
        'create',
        '--name',
        'NAME',
        '--interactive',
        ...none,
        'busybox',
        'sh',
        '-c',
        'read line; echo got $line',
      ],
      ['start', '--attach', '--interactive', 'NAME'],
      remove,
    ],
    input: { 1: 'words\n' },
  },
  { name: 'top', steps: [background(), ['top', 'NAME', '-o', 'comm'], remove] },
  {
    name: 'health check',
    steps: [
      background('--health-cmd', 'echo fine; test -e /root', '--health-interval', '1s'),
      ['exec', 'NAME', 'sleep', '2'],
      ['inspect', '--format', '{{.State.Health.Status}}', 'NAME'],
      remove,
    ],
  },
  {
    name: 'a terminal',
    steps: [
      script('tty; test -t 0 && test -w /dev/tty; stat -c "%u:%g %a %F" $(tty); echo x > /dev/tty', '--tty'),
      script('stat -c "%u:%g" $(tty); echo x > /dev/stdout', '--tty', '--user', '999'),
      background('--tty'),
      exec('tty; echo x > /dev/tty', '--tty'),
      remove,
    ],
  },
];
