/**
 * The transparency table: what every docker verb and option gives, isolated and on plain runc alike. A row is a list
 * of docker command lines; their outputs and exit codes are compared. NAME stands for a name of the row's own, and
 * `create` and `run` get the runtime that is tested.
 */

export interface VerbRow {
  readonly name: string;
  readonly steps: readonly (readonly string[])[];
  /** What a step reads from standard input, by its place. */
  readonly input?: Readonly<Record<number, string>>;
  /**
   * Oldest engine that has it. `--privileged` of 20.10 asks for every capability that the kernel knows, and plain
   * runc fails with it on a host that was started without one of them: there is nothing to compare with then.
   */
  readonly since?: '26.1' | '28.5';
}

const none = ['--network', 'none'];
const inside = (...argv: string[]): string[] => ['run', '--rm', ...none, 'busybox', ...argv];
const script = (text: string, ...options: string[]): string[] => [
  'run',
  '--rm',
  ...none,
  ...options,
  'busybox',
  'sh',
  '-c',
  text,
];
const background = (...options: string[]): string[] => [
  'run',
  '--detach',
  '--name',
  'NAME',
  ...none,
  ...options,
  'busybox',
  'sleep',
  '1000',
];
const exec = (text: string, ...options: string[]): string[] => ['exec', ...options, 'NAME', 'sh', '-c', text];
const remove = ['rm', '--force', '--volumes', 'NAME'];
const owners = "stat -c '%n %u:%g %a %F'";

export const verbTable: readonly VerbRow[] = [
  { name: 'root is root', steps: [inside('id')] },
  { name: 'exit codes', steps: [0, 1, 42].map((code) => script(`exit ${code}`)) },
  { name: 'a program that is missing or no program', steps: [inside('/no/such'), inside('/etc/passwd')] },
  { name: 'a program that dies of a signal', steps: [script('kill -9 $$'), script('kill -SEGV $$')] },
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
  {
    name: 'read-only with tmpfs',
    steps: [
      script('touch /f; touch /t/f && echo written; stat -c "%u:%g %a" /t', '--read-only', '--tmpfs', '/t'),
      script('stat -c "%u:%g %a" /t', '--tmpfs', '/t:uid=5,gid=6,mode=750,size=1m'),
    ],
  },
  { name: 'shm-size', steps: [script('df -k /dev/shm | tail -1', '--shm-size', '8m')] },
  {
    name: 'ulimits',
    steps: [script('ulimit -Sn; ulimit -Hn; ulimit -Hc', '--ulimit', 'nofile=100:200', '--ulimit', 'core=0')],
  },
  {
    name: 'memory, cpus, pids',
    steps: [
      script(
        'cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes cpu/cpu.cfs_quota_us pids/pids.max memory.max cpu.max pids.max 2>&1 | grep -v "No such"',
        '--memory',
        '32m',
        '--cpus',
        '0.5',
        '--pids-limit',
        '50',
      ),
    ],
  },
  { name: 'oom-score-adj', steps: [script('cat /proc/self/oom_score_adj', '--oom-score-adj', '500')] },
  {
    name: 'sysctls',
    steps: [
      script('cat /proc/sys/net/ipv4/ip_forward', '--sysctl', 'net.ipv4.ip_forward=1'),
      script('cat /proc/sys/kernel/shmmax /proc/sys/kernel/msgmax', '--sysctl', 'kernel.msgmax=4096'),
      script('cat /proc/sys/net/ipv4/ip_unprivileged_port_start'),
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
    name: 'hostname, hosts, resolv.conf',
    steps: [
      script(
        `hostname; cat /etc/hostname; grep more /etc/hosts; cat /etc/resolv.conf | grep -v ^#; echo 1.2.3.4 x >> /etc/hosts; ${owners} /etc/hosts /etc/hostname /etc/resolv.conf`,
        '--hostname',
        'box',
        '--add-host',
        'more:10.0.0.1',
        '--dns',
        '10.0.0.2',
      ),
    ],
  },
  {
    name: 'hostname can be set when privileged',
    since: '26.1',
    steps: [script('hostname other; hostname', '--privileged')],
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
    name: '/dev',
    steps: [
      script(
        'ls /dev; head -c 3 /dev/zero | od -c; echo x > /dev/null; : < /dev/full; head -c 1 /dev/urandom | wc -c; ls -l /dev/fd /dev/ptmx',
      ),
    ],
  },
  {
    name: 'a device that everybody may use',
    steps: [script('head -c 2 /dev/mine | od -c', '--device', '/dev/zero:/dev/mine:r')],
  },
  {
    name: 'privileged: mounts of its own',
    since: '26.1',
    steps: [
      script(
        'mount -t tmpfs none /mnt2 2>&1; mkdir /m; mount -t tmpfs none /m && touch /m/f && ls /m; umount /m; mount --bind /etc /m && ls /m/passwd',
        '--privileged',
      ),
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
  { name: 'top', steps: [background(), ['top', 'NAME', '-o', 'comm'], remove] },
  {
    name: 'stats',
    steps: [
      background('--memory', '64m'),
      ['stats', '--no-stream', '--format', '{{.Name}} {{.PIDs}} {{slice (split .MemUsage "/") 1 2}}', 'NAME'],
      remove,
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
    name: 'update',
    steps: [
      background('--memory', '64m'),
      ['update', '--memory', '32m', '--memory-swap', '32m', 'NAME'],
      exec(
        'cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>&1 | grep -v "No such"',
      ),
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
    name: 'out of memory',
    steps: [
      [
        'run',
        '--name',
        'NAME',
        '--memory',
        '12m',
        '--memory-swap',
        '12m',
        ...none,
        'busybox',
        'tail',
        '/dev/zero',
      ],
      ['inspect', '--format', '{{.State.OOMKilled}}', 'NAME'],
      remove,
    ],
  },
  {
    name: 'named volume',
    steps: [
      [
        'run',
        '--rm',
        ...none,
        '--volume',
        'vol-NAME:/data',
        'busybox',
        'sh',
        '-c',
        `touch /data/more; chown 5:6 /data/more; ${owners} /data /data/*`,
      ],
      [
        'run',
        '--rm',
        ...none,
        '--volume',
        'vol-NAME:/v:ro',
        'busybox',
        'sh',
        '-c',
        `touch /v/x; ${owners} /v/*`,
      ],
      ['volume', 'rm', 'vol-NAME'],
    ],
  },
  {
    name: 'anonymous volume, volumes-from',
    steps: [
      background('--volume', '/data'),
      exec('touch /data/mine; chown 999 /data/mine'),
      ['run', '--rm', ...none, '--volumes-from', 'NAME', 'busybox', 'sh', '-c', `${owners} /data /data/*`],
      ['run', '--rm', ...none, '--volumes-from', 'NAME:ro', 'busybox', 'touch', '/data/x'],
      remove,
    ],
  },
  {
    name: 'tmpfs volume',
    steps: [
      ['volume', 'create', '--opt', 'type=tmpfs', '--opt', 'device=tmpfs', '--opt', 'o=size=1m', 'vol-NAME'],
      [
        'run',
        '--rm',
        ...none,
        '--volume',
        'vol-NAME:/v',
        'busybox',
        'sh',
        '-c',
        `touch /v/f; ${owners} /v /v/f; df -k /v | tail -1`,
      ],
      ['volume', 'rm', 'vol-NAME'],
    ],
  },
  {
    name: 'volume subpath',
    since: '26.1',
    steps: [
      [
        'run',
        '--rm',
        ...none,
        '--volume',
        'vol-NAME:/v',
        'busybox',
        'sh',
        '-c',
        'mkdir -p /v/sub/dir; echo hi > /v/sub/dir/f; chown -R 5:6 /v/sub',
      ],
      [
        'run',
        '--rm',
        ...none,
        '--mount',
        'type=volume,source=vol-NAME,target=/w,volume-subpath=sub/dir',
        'busybox',
        'sh',
        '-c',
        `${owners} /w /w/f; echo more >> /w/f; cat /w/f`,
      ],
      [
        'run',
        '--rm',
        ...none,
        '--mount',
        'type=volume,source=vol-NAME,target=/w,volume-subpath=sub/dir/f',
        'busybox',
        'cat',
        '/w',
      ],
      ['volume', 'rm', 'vol-NAME'],
    ],
  },
  {
    name: 'nested volumes',
    steps: [
      [
        'run',
        '--rm',
        ...none,
        '--volume',
        'vol-NAME:/v',
        '--volume',
        'inner-NAME:/v/inner',
        '--tmpfs',
        '/v/inner/t',
        'busybox',
        'sh',
        '-c',
        `touch /v/inner/f; ${owners} /v /v/inner /v/inner/f; ls /v/inner`,
      ],
      ['volume', 'rm', 'vol-NAME', 'inner-NAME'],
    ],
  },
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
    name: 'network, pid and ipc of another container',
    steps: [
      background('--ipc', 'shareable', '--hostname', 'first'),
      exec('echo shared > /dev/shm/f'),
      [
        'run',
        '--rm',
        '--network',
        'container:NAME',
        '--pid',
        'container:NAME',
        '--ipc',
        'container:NAME',
        'busybox',
        'sh',
        '-c',
        `id; hostname; cat /dev/shm/f; ps -o comm,args | grep -c sleep; ${owners} /dev/shm/f /data/by-999; cat /proc/net/dev | wc -l; touch /root/f; ${owners} /root/f`,
      ],
      remove,
    ],
  },
  {
    name: 'ipc none and private',
    steps: [
      script('ls -d /dev/shm', '--ipc', 'none'),
      script('stat -c "%u:%g %a" /dev/shm', '--ipc', 'private'),
    ],
  },
  {
    name: 'masked and read-only paths',
    steps: [
      script(
        'cat /proc/kcore /proc/keys /proc/timer_list 2>&1 | wc -c; ls /sys/firmware | wc -l; touch /proc/sys/kernel/domainname; echo 1 > /proc/sys/kernel/pid_max',
      ),
    ],
  },
  {
    name: 'ping_group_range',
    steps: [['run', '--rm', ...none, 'busybox', 'sh', '-c', 'cut -f1 /proc/sys/net/ipv4/ping_group_range']],
  },
  {
    name: 'a container that can not be made',
    steps: [['run', '--rm', ...none, '--workdir', '/etc/passwd', 'busybox', 'true']],
  },
];
