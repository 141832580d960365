/** The life of a container, from its creation to its removal. */
import { background, exec, none, owners, remove, type VerbRow } from '../verb-row.js';

export const lifeCycleRows: readonly VerbRow[] = [
  {
    name: 'stop, start, restart keep files and owners',
    steps: [
      background(),
      exec('echo one > /root/f; chown 7:8 /root/f'),
      ['stop', '--time', '0', 'NAME'],
      ['start', 'NAME'],
      exec(`${owners} /root/f; cat /root/f`),
      ['restart', '--time', '0', 'NAME'],
      exec(`${owners} /root/f; cat /root/f`),
      remove,
    ],
  },
  {
    name: 'kill by signal, wait',
    steps: [
      background(),
      ['kill', '--signal', 'KILL', 'NAME'],
      ['wait', 'NAME'],
      [
        'inspect',
        '--format',
        '{{.State.Status}} {{.State.ExitCode}} {{.State.OOMKilled}} {{.State.Error}}',
        'NAME',
      ],
      remove,
    ],
  },
  {
    name: 'pause, unpause',
    steps: [
      background(),
      ['pause', 'NAME'],
      ['inspect', '--format', '{{.State.Status}}', 'NAME'],
      exec('true'),
      ['unpause', 'NAME'],
      exec('echo again'),
      remove,
    ],
  },
  {
    name: 'rename, logs',
    steps: [
      ['run', '--detach', '--name', 'NAME-1', ...none, 'busybox', 'sh', '-c', 'echo out; echo err >&2'],
      ['rename', 'NAME-1', 'NAME'],
      ['wait', 'NAME'],
      ['logs', 'NAME'],
      remove,
    ],
  },
  {
    name: 'restart policy',
    steps: [
      [
        'run',
        '--detach',
        '--name',
        'NAME',
        '--restart',
        'on-failure:2',
        ...none,
        'busybox',
        'sh',
        '-c',
        'echo x >> /root/tries; exit 4',
      ],
      ['wait', 'NAME'],
      remove,
    ],
  },
  {
    name: 'a container that can not be made',
    steps: [['run', '--rm', ...none, '--workdir', '/etc/passwd', 'busybox', 'true']],
  },
];
