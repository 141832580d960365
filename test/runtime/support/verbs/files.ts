/** Files of images and containers: owners, changes, commits. */
import { background, exec, none, owners, remove, script, type VerbRow } from '../verb-row.js';

export const fileRows: readonly VerbRow[] = [
  {
    name: 'owners of the image',
    steps: [script(`${owners} /bin /bin/busybox /data/* /etc/* /home/app /root /tmp /var/tmp`)],
  },
  {
    name: 'new files, setuid bits and chown',
    steps: [
      script(
        `cd /root; touch f; mkdir d; chown 999:999 f; chmod 4755 f; ${owners} f d; mknod p p; ln -s f l; ls -ln l`,
      ),
    ],
  },
  {
    name: 'read-only with tmpfs',
    steps: [
      script('touch /f; touch /t/f && echo written; stat -c "%u:%g %a" /t', '--read-only', '--tmpfs', '/t'),
      script('stat -c "%u:%g %a" /t', '--tmpfs', '/t:uid=5,gid=6,mode=750,size=1m'),
    ],
  },
  {
    name: 'diff, commit and run the result',
    steps: [
      background(),
      exec('echo x > /data/new; chown 999 /data/new; rm /data/by-root; chmod 700 /data/by-999'),
      ['diff', 'NAME'],
      ['commit', 'NAME', 'committed-NAME'],
      ['run', '--rm', ...none, 'committed-NAME', 'sh', '-c', `${owners} /data/*`],
      ['image', 'rm', '--force', 'committed-NAME'],
      remove,
    ],
  },
  {
    name: 'diff without noise',
    steps: [background(), ['diff', 'NAME'], ['stop', '--time', '0', 'NAME'], ['diff', 'NAME'], remove],
  },
  {
    name: 'cp out of a running and a stopped container',
    steps: [
      background(),
      ['cp', 'NAME:/data', '-'],
      ['cp', 'NAME:/home/app', '-'],
      ['cp', 'NAME:/no/such', '-'],
      ['kill', 'NAME'],
      ['cp', 'NAME:/data/by-999', '-'],
      remove,
    ],
  },
  {
    name: 'cp into a container before it starts and after it stopped',
    steps: [
      ['create', '--name', 'NAME', ...none, 'busybox', 'sleep', '1000'],
      ['cp', 'FOLDER/daemon.json', 'NAME:/data/in'],
      ['start', 'NAME'],
      exec(
        `${owners} /data/in; wc -l < /data/in; echo more >> /data/in; touch /data/next; ${owners} /data/next`,
      ),
      ['kill', 'NAME'],
      ['cp', '--archive', 'FOLDER/daemon.json', 'NAME:/home/app/in'],
      ['start', 'NAME'],
      exec(`${owners} /data/in /home/app/in; rm /home/app/in; ls /home/app`),
      remove,
    ],
  },
  {
    name: 'export, import and run the result',
    steps: [
      background(),
      exec(
        'echo x > /data/new; chown 5:6 /data/new; chmod 4711 /data/new; mkfifo /data/pipe; ln /data/new /data/hard',
      ),
      ['export', '--output', 'FOLDER/NAME.tar', 'NAME'],
      ['import', 'FOLDER/NAME.tar', 'imported-NAME'],
      [
        'run',
        '--rm',
        ...none,
        'imported-NAME',
        '/bin/sh',
        '-c',
        `/bin/${owners} /data/* /etc/hosts /home/app`,
      ],
      ['image', 'rm', '--force', 'imported-NAME'],
      remove,
    ],
  },
];
