/**
 * A grammar of create requests: fields that dockerd understands with values that it accepts, harmless and dangerous
 * ones, and mutations of the text that two JSON readers could understand differently.
 */
import fc from 'fast-check';

/** A JSON text with what a plain object can't have: duplicate keys, and values written in any way. */
export type Text =
  | { readonly kind: 'raw'; readonly text: string }
  | { readonly kind: 'list'; readonly elements: readonly Text[] }
  | { readonly kind: 'object'; readonly entries: readonly Entry[] };
type Entry = readonly [key: string, value: Text];

export function write(text: Text): string {
  if (text.kind === 'raw') return text.text;
  if (text.kind === 'list') return `[${text.elements.map(write).join(',')}]`;
  return `{${text.entries.map(([key, value]) => `${key}:${write(value)}`).join(',')}}`;
}

function textOf(value: unknown): Text {
  if (Array.isArray(value)) return { kind: 'list', elements: value.map(textOf) };
  if (typeof value !== 'object' || value === null) return { kind: 'raw', text: JSON.stringify(value) };
  return {
    kind: 'object',
    entries: Object.entries(value).map(([key, part]) => [JSON.stringify(key), textOf(part)]),
  };
}

/** Values that isolation has nothing to say about: they must arrive unchanged. */
const harmless: Readonly<Record<string, readonly unknown[]>> = {
  Binds: [['data:/data'], ['data:/data:ro', 'other:/other'], []],
  Mounts: [
    [{ Type: 'tmpfs', Target: '/t' }],
    [{ Type: 'volume', Source: 'data', Target: '/m', ReadOnly: true }],
  ],
  NetworkMode: ['none'],
  IpcMode: ['private', 'shareable'],
  Privileged: [true, false],
  CapAdd: [['CAP_SYS_ADMIN'], []],
  CapDrop: [['CAP_MKNOD'], null],
  SecurityOpt: [['no-new-privileges'], ['seccomp=unconfined']],
  Sysctls: [{ 'net.ipv4.ip_unprivileged_port_start': '0' }, {}],
  Memory: [67_108_864, 0],
  CpuShares: [512],
  RestartPolicy: [
    { Name: 'no', MaximumRetryCount: 0 },
    { Name: 'on-failure', MaximumRetryCount: 2 },
  ],
  Tmpfs: [{ '/run': 'size=1m' }],
  ShmSize: [1_048_576],
  GroupAdd: [['12']],
  Dns: [['192.0.2.1']],
  DnsSearch: [['example.com']],
  ExtraHosts: [['a:192.0.2.1']],
  Init: [true, null],
  ReadonlyRootfs: [true],
  PidsLimit: [100],
  Ulimits: [[{ Name: 'nofile', Soft: 64, Hard: 128 }]],
  AutoRemove: [false],
  OomScoreAdj: [100],
  StorageOpt: [{}],
  LogConfig: [{ Type: 'json-file', Config: { 'max-size': '1m' } }],
  MaskedPaths: [[], null],
  PublishAllPorts: [false],
  Annotations: [{ 'org.example.note': 'x' }, {}],
  Devices: [[{ PathOnHost: '/dev/null', PathInContainer: '/dev/nil', CgroupPermissions: 'rw' }], []],
  DeviceCgroupRules: [['c 1:3 rwm']],
  MemoryReservation: [33_554_432],
  CpuQuota: [50_000],
  CpuPeriod: [100_000],
  CpusetCpus: ['0'],
  OomKillDisable: [false, null],
  ConsoleSize: [[24, 80]],
  Links: [[]],
  VolumesFrom: [[], null],
  PortBindings: [{ '80/tcp': [{ HostIp: '127.0.0.1', HostPort: '' }] }, { '80/tcp': null }, {}],
  ReadonlyPaths: [['/proc/bus'], []],
  ContainerIDFile: [''],
  DnsOptions: [['ndots:1']],
};

/** Values that would give away the host, or that are overridden. */
const dangerous: Readonly<Record<string, readonly unknown[]>> = {
  Binds: [['/:/host'], ['/run/docker.sock:/s'], ['/etc:/e:ro']],
  Mounts: [
    [{ Type: 'bind', Source: '/', Target: '/h' }],
    [
      {
        Type: 'volume',
        Target: '/v',
        VolumeOptions: { DriverConfig: { Name: 'local', Options: { type: 'none', o: 'bind', device: '/' } } },
      },
    ],
  ],
  NetworkMode: ['host'],
  PidMode: ['host'],
  IpcMode: ['host'],
  UTSMode: ['host'],
  UsernsMode: ['host'],
  CgroupnsMode: ['host'],
  Runtime: ['runc', 'io.containerd.runc.v2', 'sysbox-runc'],
  CgroupParent: ['/system.slice'],
  Devices: [[{ PathOnHost: '/dev/mem', PathInContainer: '/dev/mem', CgroupPermissions: 'rwm' }]],
  OomScoreAdj: [-1000],
  Annotations: [{ 'org.systemd.property.ExecStart': 'x' }],
  LogConfig: [{ Type: 'syslog', Config: { 'syslog-address': 'unix:///run/docker.sock' } }],
  VolumeDriver: ['plugin'],
  VolumesFrom: [['nobody'], ['nobody:ro']],
  Cgroup: ['container:nobody'],
  DeviceRequests: [[{ Driver: 'cdi', DeviceIDs: ['vendor.example/device=all'] }]],
  BlkioDeviceReadBps: [[{ Path: '/root/.profile', Rate: 1 }]],
  CpuRealtimeRuntime: [1000],
  Sysctls: [{ 'kernel.core_pattern': 'x' }, { 'net/ipv4/../../kernel/panic': '1' }],
  Links: [['nobody:n']],
  Isolation: ['hyperv'],
};

const top: Readonly<Record<string, readonly unknown[]>> = {
  User: ['', '1000:1000'],
  Env: [['A=b'], []],
  Cmd: [['true'], 'true'],
  Entrypoint: [null, ['sh']],
  Labels: [{ a: 'b', A: 'c' }],
  WorkingDir: ['/tmp'],
  Volumes: [{ '/v': {} }],
  ExposedPorts: [{ '80/tcp': {} }],
  Hostname: ['web'],
  StopSignal: ['SIGINT'],
  StopTimeout: [3],
  Healthcheck: [{ Test: ['CMD', 'true'], Interval: 2_000_000_000 }],
  Tty: [true],
  OpenStdin: [true],
  StdinOnce: [true],
  Domainname: ['example.com'],
  NetworkDisabled: [true],
  OnBuild: [['RUN true'], []],
  Shell: [['sh', '-c'], 'sh'],
  MacAddress: [''],
  NetworkingConfig: [{ EndpointsConfig: { none: {} } }, { EndpointsConfig: {} }, {}, null],
};

function some(
  values: Readonly<Record<string, readonly unknown[]>>,
): fc.Arbitrary<Readonly<Record<string, unknown>>> {
  const entry = fc
    .constantFrom(...Object.keys(values))
    .chain((key) => fc.constantFrom(...(values[key] ?? [])).map((value) => [key, value] as const));
  return fc.array(entry, { maxLength: 3 }).map((entries) => Object.fromEntries(entries));
}

function request(hostFields: fc.Arbitrary<Readonly<Record<string, unknown>>>): fc.Arbitrary<Text> {
  return fc
    .tuple(some(top), hostFields)
    .map(([config, host]) =>
      textOf({ Image: 'busybox', ...config, HostConfig: { NetworkMode: 'none', ...host } }),
    );
}

/** Requests that pass: the container must be what plain dockerd would make. */
export const harmlessRequests: fc.Arbitrary<string> = request(some(harmless)).map(write);

const otherSpellings: readonly ((key: string) => string)[] = [
  (key) => key.toLowerCase(),
  (key) => key.toUpperCase(),
  (key) => key.replace('s', 'ſ'),
  (key) => key.replace('k', '\u212a'),
  (key) => key.replace(/[A-Za-z]/, (letter) => `\\u00${letter.charCodeAt(0).toString(16)}`),
  (key) => key.replace(/"$/, '\\u0000"'),
  (key) => key,
];

const oddValues = [
  'null',
  '""',
  '0',
  '1',
  '1e3',
  '1.0',
  '-0',
  '9223372036854775808',
  'true',
  '"true"',
  '[]',
  '{}',
  '[null]',
  '{"":null}',
];

type Mutation = (entries: readonly Entry[], at: number) => readonly Entry[];

const mutations: fc.Arbitrary<Mutation> = fc.oneof(
  fc.constantFrom(...otherSpellings).map(
    (spell): Mutation =>
      (entries, at) =>
        entries.map((entry, index) => (index === at ? [spell(entry[0]), entry[1]] : entry)),
  ),
  fc.constantFrom(...oddValues).map(
    (text): Mutation =>
      (entries, at) =>
        entries.map((entry, index) => (index === at ? [entry[0], { kind: 'raw', text }] : entry)),
  ),
  fc.tuple(fc.constantFrom(...otherSpellings), fc.constantFrom(...oddValues), fc.boolean()).map(
    ([spell, text, before]): Mutation =>
      (entries, at) => {
        const [key = '"x"'] = entries[at] ?? [];
        const twin: Entry = [spell(key), { kind: 'raw', text }];
        return before ? [twin, ...entries] : [...entries, twin];
      },
  ),
  fc
    .tuple(
      fc.constantFrom('"Future"', '"Privileged"', '"Binds"', '"__proto__"', '"Capabilities"', '"name"'),
      fc.constantFrom(...oddValues, '["/:/h"]'),
    )
    .map(
      ([key, text]): Mutation =>
        (entries) => [...entries, [key, { kind: 'raw', text }]],
    ),
);

/** Mutates one object of the text: the first choice goes down into it, the second says which entry. */
function mutate(text: Text, way: number, at: number, mutation: Mutation): Text {
  if (text.kind === 'raw') return text;
  if (text.kind === 'list') {
    if (text.elements.length === 0) return text;
    const chosen = way % text.elements.length;
    return {
      kind: 'list',
      elements: text.elements.map((part, index) =>
        index === chosen ? mutate(part, way >> 2, at, mutation) : part,
      ),
    };
  }
  const inner = text.entries.flatMap(([, value], index) => (value.kind === 'raw' ? [] : [index]));
  const chosen = inner[way % (inner.length + 1)];
  if (chosen === undefined)
    return { kind: 'object', entries: mutation(text.entries, at % Math.max(1, text.entries.length)) };
  return {
    kind: 'object',
    entries: text.entries.map(([key, value], index) => [
      key,
      index === chosen ? mutate(value, way >> 2, at, mutation) : value,
    ]),
  };
}

const endings = ['', '', '', '', ' ', '}', ']', '{}', '\u0000', ',"HostConfig":{"Privileged":true}}'];

/** Requests of any kind, mutated up to three times. */
export const hostileRequests: fc.Arbitrary<string> = fc
  .tuple(
    request(fc.tuple(some(harmless), some(dangerous)).map(([one, other]) => ({ ...one, ...other }))),
    fc.array(fc.tuple(fc.nat(63), fc.nat(15), mutations), { maxLength: 3 }),
    fc.constantFrom(...endings),
  )
  .map(([text, changes, ending]) => {
    const mutated = changes.reduce(
      (changed, [way, at, mutation]) => mutate(changed, way, at, mutation),
      text,
    );
    return write(mutated) + ending;
  });
