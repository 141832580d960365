/** What the kernel shows and limits: control groups, sysctls, devices, namespaces, names. */
import { background, exec, inside, none, owners, remove, script, type VerbRow } from '../verb-row.js';

export const kernelRows: readonly VerbRow[] = [
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
  {
    name: 'oom-score-adj',
    steps: ['500', '-500'].map((score) => script('cat /proc/self/oom_score_adj', '--oom-score-adj', score)),
  },
  {
    name: 'sysctls',
    steps: [
      script('cat /proc/sys/net/ipv4/ip_forward', '--sysctl', 'net.ipv4.ip_forward=1'),
      script('cat /proc/sys/kernel/shmmax /proc/sys/kernel/msgmax', '--sysctl', 'kernel.msgmax=4096'),
      script('cat /proc/sys/net/ipv4/ip_unprivileged_port_start'),
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
    name: 'stats',
    steps: [
      background('--memory', '64m'),
      ['stats', '--no-stream', '--format', '{{.Name}} {{.PIDs}} {{slice (split .MemUsage "/") 1 2}}', 'NAME'],
      remove,
    ],
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
    name: 'out of memory',
    steps: [
      [
        'run',
        '--name',
        'NAME',
        '--memory',
        '48m',
        '--memory-swap',
        '48m',
        ...none,
        'busybox',
        'tail',
        '/dev/zero',
      ],
      ['inspect', '--format', '{{.State.OOMKilled}}', 'NAME'],
      // The time until which events are shown is rounded down to a second.
      inside('sleep', '1.1'),
      [
        'events',
        ...['--since', '60s', '--until', '0s', '--filter', 'container=NAME'],
        ...['--filter', 'event=oom', '--filter', 'event=die'],
        ...['--format', '{{.Action}} {{index .Actor.Attributes "exitCode"}}'],
      ],
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
        `id; hostname; cat /dev/shm/f; ps -o comm | grep -c sleep; ${owners} /dev/shm/f /data/by-999; cat /proc/net/dev | wc -l; touch /root/f; ${owners} /root/f`,
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
];
