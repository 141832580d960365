/**
 * docs/administration.md, followed from top to bottom on a fresh Debian: the commands are those of the page, and so is
 * the output that they must have. What the page only tells (crashes, upgrades, what comes back to the byte) is tried in
 * systemd.test.ts.
 */
import { chmodSync, copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { z } from 'zod';
import { hostMap, parseUidMap } from '../support/uid-map.js';
import { DocumentedSteps, outputLike } from './documented-steps.js';
import { freshHost } from './fresh-host.js';
import type { SystemdHost } from './systemd-host.js';

const page = new DocumentedSteps(new URL('../../docs/administration.md', import.meta.url));
const settingsFile = 'etc/cofferdam/admin-settings.json';
const authority = '/etc/ssl/private-authority.pem';
/** Servers for the page's names, and an account for its `$`; whoever types answers apt-get's questions with yes. */
const surroundings = `
useradd --create-home --groups docker alice
echo 'APT::Get::Assume-Yes "true";' > /etc/apt/apt.conf.d/yes
docker tag tiny busybox
docker run --detach --stop-signal SIGKILL --name old busybox sleep 100000
printf '127.0.0.2 policy.example.com\\n127.0.0.3 registry.example.com\\n' >> /etc/hosts
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -keyout /etc/ssl/tls.key \\
  -out ${authority} -subj /CN=test -addext subjectAltName=DNS:policy.example.com,DNS:registry.example.com
cat ${authority} >> /etc/ssl/certs/ca-certificates.crt
cat > /etc/registry.yml << J
version: 0.1
storage: { filesystem: { rootdirectory: /srv/registry } }
http: { addr: "127.0.0.3:443", tls: { certificate: ${authority}, key: /etc/ssl/tls.key } }
J
`;
const policyServer = `systemd-run --unit policy-server --working-directory /home/alice \
  openssl s_server -accept 127.0.0.2:443 -cert ${authority} -key /etc/ssl/tls.key -WWW`;

const policyFileSchema = z.object({ policy: z.object({ url: z.string(), publicKey: z.string() }) });

let host: SystemdHost;
let section: string;

beforeAll(async () => {
  host = await freshHost('trixie', '{ "live-restore": true }\n');
  const programs = [
    ['/usr/bin/docker-registry', 'docker-registry'],
    [fileURLToPath(new URL('oras.sh', import.meta.url)), 'oras'],
  ] as const;
  for (const [from, name] of programs) {
    copyFileSync(from, join(host.root.path, 'usr/bin', name));
    chmodSync(join(host.root.path, 'usr/bin', name), 0o755);
  }
  await host.shell(surroundings);
});
afterAll(() => host.remove());
beforeEach(({ task }) => {
  section = task.name;
  if (section !== 'leaves nothing out') page.begin(section);
});

/** Runs a script as root or as alice, in their home folders; what it prints comes in the order of a terminal. */
function run(prompt: string, script: string) {
  const typed = `exec 2>&1; ${script}`;
  return prompt === '#'
    ? host.run('sh', '-c', `cd /root; ${typed}`)
    : host.run('runuser', '--login', 'alice', '--command', typed);
}

interface Expected {
  /** The exit code. */
  readonly code?: number;
  /** What is typed in the place of a word that stands for others. */
  readonly instead?: readonly [word: string, meant: string];
}

/** Types the page's next command. @returns the output */
async function type(beginning: string, { code = 0, instead = ['', ''] }: Expected = {}): Promise<string> {
  const { prompt, command, shown } = page.command(section, beginning);
  const ended = await run(prompt, command.replace(...instead));
  expect({ command, ...ended }).toMatchObject({ code });
  if (shown.length > 0) expect(`${ended.text.trimEnd()}\n`).toMatch(outputLike(shown));
  return ended.text;
}

/** Types the page's next command, which goes on until it is interrupted: here when it has printed what is wanted. */
async function typeAndInterrupt(beginning: string, wanted: string): Promise<void> {
  const { prompt, command } = page.command(section, beginning);
  const watched = `printed=$(mktemp); ${command} > $printed & until grep -q '${wanted}' $printed; do sleep 0.05; done`;
  expect(await run(prompt, `${watched}; kill $!`)).toEqual({ code: 0, text: '' });
}

/** Runs a question of our own until its output is as wanted. */
async function until(question: string, wanted: RegExp): Promise<void> {
  while (!wanted.test((await run('#', question)).text));
}

async function write(settings: object | string): Promise<void> {
  mkdirSync(join(host.root.path, 'etc/cofferdam'), { recursive: true });
  host.write(settingsFile, typeof settings === 'string' ? settings : JSON.stringify(settings));
}

const uidMap = async () =>
  parseUidMap((await run('$', 'docker run --rm busybox cat /proc/self/uid_map')).text);
const isolated = { inside: 0, size: 65536 };

it('1. Put the program there', async () => {
  // What it builds has been built for this test in the same way.
  page.command(section, 'npm ci && npm run package');
  const architecture = await host.shell('dpkg --print-architecture');
  await type('apt-get install', { instead: ['amd64', architecture] });
});

it('2. Look first', async () => {
  await type('cofferdam doctor', { code: 1 });
  await type('cofferdam explain', { code: 1 });
  await type('cofferdam explain');
});

it('3. Write the settings', async () => {
  await write(page.file(section, 'json'));
  await type('cofferdam check');
});

it('4. Install', async () => {
  const before = await host.shell('find /etc -newer /etc/hosts | sort');
  const planned = await type('cofferdam install --dry-run');
  expect(await host.shell('find /etc -newer /etc/hosts | sort')).toBe(before);
  await type('cofferdam install');
  const written = await host.shell(
    'find /etc/systemd/system /etc/docker -type f -newer /etc/cofferdam -not -name "*.before-cofferdam"',
  );
  expect(written.split('\n').filter((file) => !planned.includes(file))).toEqual([]);
  expect(written.split('\n')).toHaveLength(5);

  const build = 'curl -s --unix-socket /run/docker.sock -X POST "http://localhost/build?version=2"';
  expect(await host.shell(build)).toContain('builds');
  await type('systemctl restart');
  await type('cofferdam doctor');
  await type('cofferdam status');
  await type('cofferdam adopt old');
  expect(parseUidMap(await host.shell('docker exec old cat /proc/self/uid_map'))).toMatchObject(isolated);
});

it('5. Try settings out', async () => {
  await write({ filesharingAllowedDirectories: [{ path: '/srv' }], hostFiles: { sharingMode: 'warn' } });
  await until('cofferdam status', /only warns/);
  const warned = await run('$', 'docker run --rm --volume /home:/home busybox cat /proc/self/uid_map');
  expect(warned).toMatchObject({ code: 0, text: expect.stringContaining('WARNING') });
  await type('cofferdam audit --warned');
  await type('cofferdam learn');
  await type('cofferdam replay');
});

it('6. Every day', async () => {
  await write({ enhancedContainerIsolation: { value: true, locked: true } });
  await until('cofferdam isolation', /locked in/);
  await type('cofferdam status');
  await typeAndInterrupt('cofferdam status --watch', 'ready$');
  await type('cofferdam doctor');
  const refused = await run('$', 'docker run --rm --volume /:/host busybox cat /proc/self/uid_map');
  expect(refused).toMatchObject({ code: 125, text: expect.stringContaining('restricted host mount') });
  await type('cofferdam explain RULE', { instead: ['RULE', 'host-mounts'] });
  await typeAndInterrupt('cofferdam audit --follow', 'container.create');
  await typeAndInterrupt('cofferdam audit --watch', 'container.create');
  expect(await type('cofferdam audit --denied')).toMatch(/uid 1000 docker .*host-mounts/);
  expect(await type('cofferdam audit --json')).toMatch(/^\{/);
  await type('cofferdam audit --verify');
  expect(await type('cofferdam ranges')).toMatch(/ old .*running/);
  await host.powerOff();
  await host.boot();
  await type('cofferdam doctor --repair');
  await type('cofferdam status');
  await type('cofferdam doctor');
});

it('Isolation off and on', async () => {
  await type('cofferdam isolation off', { code: 1 });
  await write({});
  await until('cofferdam isolation', /not locked/);
  await type('cofferdam isolation off');
  expect(await uidMap()).toEqual(hostMap);
  expect(await host.shell('cofferdam doctor')).toContain('but isolation is switched off');
  await type('cofferdam isolation');
  await type('cofferdam isolation on');
  expect(await uidMap()).toMatchObject(isolated);
  await type('cofferdam isolation default');
  expect(await uidMap()).toMatchObject(isolated);
});

it('The audit log', async () => {
  await write({ audit: { journal: true }, metrics: { listen: '127.0.0.1:9477' } });
  await host.shell('systemctl restart cofferdam');
  await run('$', 'docker run --rm --pid=host busybox cat /proc/1/environ');
  await until('journalctl --identifier cofferdam-audit', /host-namespaces/);
  expect(await type('journalctl')).toContain('"rules":["host-namespaces"');
});

it('Metrics and health', async () => {
  await type('curl -s --unix-socket /run/cofferdam/control.sock http://localhost/readyz');
  expect(await type('curl -s http://127.0.0.1:9477/metrics')).toContain(
    'cofferdam_refusals_total{rule="host-namespaces"} 1',
  );
});

it('7. One policy for many hosts', async () => {
  host.write('home/alice/policy.json', page.file(section, 'json'));
  const signing = page.file(section, 'sh');
  const { text: key, code } = await run('$', signing);
  expect(code).toBe(0);
  await host.shell(policyServer);
  await host.shell('systemd-run --unit registry docker-registry serve /etc/registry.yml');
  const text = page.file(section, 'json').replace('BASE64 OF 32 BYTES', key.trim());
  const file = policyFileSchema.parse(JSON.parse(text));
  const follow = (url: string) => write({ policy: { ...file.policy, authorityFile: authority, url } });
  await follow(file.policy.url);
  await until('cofferdam isolation', /locked in https:/);
  await type('cofferdam status');
  expect((await run('$', 'cofferdam isolation off')).text).toContain(`locked in ${file.policy.url}`);

  const pushed = page.command(section, 'oras push');
  await until(`runuser --login alice --command '${pushed.command}' && echo pushed`, /pushed/);
  const [, tag] = /(\S+\/\S+:\S+)/.exec(pushed.command) ?? [];
  await follow(`oci://${tag}`);
  await until('cofferdam status', /oci:.*bundle 7, confirmed/);

  // Signed by another key: a newer bundle that would switch isolation off changes nothing.
  const stranger = { version: 1, serial: 8, settings: { enhancedContainerIsolation: { value: false } } };
  host.write('home/alice/policy.json', JSON.stringify(stranger));
  await run('$', signing);
  await run('$', pushed.command);
  const failures = async () => (await host.shell('cofferdam audit')).split('policy.failed').length;
  const before = await failures();
  await type('systemctl restart cofferdam');
  while ((await failures()) === before);
  await type('cofferdam status');
  expect((await run('$', 'cofferdam isolation off')).code).toBe(1);
  expect(await uidMap()).toMatchObject(isolated);
});

it('When something is wrong', async () => {
  await write('{');
  await until('cofferdam status', /the newest file is not in force/);
  expect((await host.run('systemctl', 'restart', 'cofferdam')).code).not.toBe(0);
  await type('cofferdam check', { code: 78 });
  await write({});
  await type('systemctl start cofferdam');
  await host.shell('systemctl stop cofferdam');
  expect((await run('$', 'cofferdam isolation')).text).toContain('the daemon is not running');
  await type('systemctl status cofferdam', { code: 3 });
  expect(await type('journalctl -u cofferdam')).toContain('settings not taken over');

  host.write('etc/docker/daemon.json', '{ "live-restore": true }\n');
  await host.shell('systemctl restart docker');
  await until('docker run --rm busybox cat /proc/self/uid_map', /lacks the isolating runtime/);
  await type('cofferdam setup');
  await until('cofferdam status', / ready\n/);
  expect(await uidMap()).toMatchObject(isolated);
});

it('8. Upgrade, and back', async () => {
  await type('cofferdam uninstall');
  expect(await uidMap()).toEqual(hostMap);
  await type('apt-get remove');
  await host.shell('docker rm --force old');
  await type('apt-get purge');
  expect(await host.shell('ls -d /var/lib/cofferdam /etc/cofferdam /usr/lib/cofferdam 2>&1 || true')).toMatch(
    /^(ls: cannot access .*\n?){3}$/,
  );
});

it('leaves nothing out', () => {
  expect(page.left).toEqual([]);
});
