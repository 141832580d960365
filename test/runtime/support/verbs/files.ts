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
];
