/**
 * The stage that attacks are played on: a real engine with the real proxy in front of it, an unprivileged caller with
 * a home of its own, and what an administrator and another user left on the engine.
 */
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CommandResult, runCommand } from '../../src/engine/embedded/command.js';
import { createDigest } from '../../src/uid-allocator/create-digest.js';
import { openLedger } from '../../src/uid-allocator/ledger.js';
import { type Cofferdam, startCofferdam, startIsolatingEngine } from '../support/cofferdam.js';
import { engineFiles } from '../support/engine-releases.js';
import { type Engine, type EngineVersion, hostCommand, importBusybox } from '../support/engines.js';
import { type RawAnswer, Sender } from './sender.js';

/** The caller of every attack: in no group but its own. */
export const caller = { uid: 4242, gid: 4242 } as const;
const otherUser = { uid: 4343, gid: 4343, groups: [4343], pid: 1 } as const;

const settings = {
  configurationFileVersion: 2,
  enhancedContainerIsolation: {
    value: true,
    locked: true,
    dockerSocketMount: { imageList: { images: ['portainer/portainer-ce'] } },
  },
  // Local images as well: a build must be refused for what its case is about, not for its base.
  registryAccess: {
    value: true,
    locked: true,
    registries: [{ address: 'registry.example' }],
    localImages: true,
  },
};

export class Stage {
  readonly engine: Engine;
  readonly cofferdam: Cofferdam;
  readonly sender: Sender;
  /** Folder with the caller's home, a shared folder and one of root's. */
  readonly folder: string;
  readonly names: Readonly<Record<string, string>>;

  private constructor(
    engine: Engine,
    cofferdam: Cofferdam,
    sender: Sender,
    folder: string,
    names: Record<string, string>,
  ) {
    this.engine = engine;
    this.cofferdam = cofferdam;
    this.sender = sender;
    this.folder = folder;
    this.names = names;
  }

  static async open(version: EngineVersion, store: 'overlay2' | 'containerd' = 'overlay2'): Promise<Stage> {
    // A runtime that cofferdam has no hand in: what containers had before it came.
    const plain = join((await engineFiles(version)).bin, 'runc');
    const engine = await startIsolatingEngine({ version, store, network: true, runtimes: { plain } });
    const folder = mkdtempSync(join(tmpdir(), 'cofferdam-attacks-'));
    const cofferdam = await startCofferdam({ engine, settings });
    // The docker group's part: who may reach the socket at all.
    chownSync(cofferdam.socket, 0, caller.gid);
    chmodSync(cofferdam.socket, 0o660);
    chmodSync(cofferdam.runDir, 0o711);
    chmodSync(join(engine.folder, 'cofferdam'), 0o711);
    const places = makePlaces(folder, engine, cofferdam);
    const sender = new Sender(caller.uid, caller.gid, places.shared);
    try {
      await sender.ready();
      const names = { ...places, ...(await fillEngine(engine, cofferdam, places)) };
      return new Stage(engine, cofferdam, sender, folder, { ...names, padding: 'x'.repeat(1 << 20) });
    } catch (problem) {
      await new Stage(engine, cofferdam, sender, folder, {}).close();
      throw problem;
    }
  }

  /** The docker command line as the unprivileged caller. */
  docker(...argv: string[]): Promise<CommandResult> {
    return runCommand('setpriv', callersDocker(this.cofferdam.socket, this.names['home'] ?? '/', argv));
  }

  /** The same; a failure throws. Returns the trimmed output. */
  async must(...argv: string[]): Promise<string> {
    const result = await this.docker(...argv);
    if (result.code !== 0) throw new Error(`docker ${argv.join(' ')}: ${result.stderr}`);
    return result.stdout.trim();
  }

  /** A raw request as the unprivileged caller; by a sender of one's own it goes side by side with others. */
  send(attack: AttackRequest, sender = this.sender): Promise<RawAnswer> {
    const { method = 'POST', body, headers = {}, path } = attack;
    const bytes = requestBody(body);
    const lines = Object.entries({ 'Content-Type': 'application/json', ...headers });
    const head = [`${method} ${path} HTTP/1.1`, 'Host: docker', ...lines.map((line) => line.join(': '))];
    if (headers['Content-Length'] === undefined && headers['Transfer-Encoding'] === undefined) {
      head.push(`Content-Length: ${bytes.length}`);
    }
    const whole = Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), bytes]);
    return sender.send(this.cofferdam.socket, method, whole);
  }

  async close(): Promise<void> {
    this.sender.close();
    await this.cofferdam.close();
    await this.engine.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function requestBody(body: unknown): Buffer {
  if (Buffer.isBuffer(body)) return body;
  if (body === undefined) return Buffer.alloc(0);
  return Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
}

/** What differs from a plain POST of JSON. */
export interface AttackRequest {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

function callersDocker(socket: string, home: string, argv: readonly string[]): string[] {
  return [
    ...[`--reuid=${caller.uid}`, `--regid=${caller.gid}`, '--clear-groups'],
    ...['env', `DOCKER_HOST=unix://${socket}`, `DOCKER_CONFIG=${home}`, 'docker', ...argv],
  ];
}

interface Places {
  readonly home: string;
  readonly shared: string;
  readonly rootOnly: string;
  readonly bobHome: string;
  readonly socket: string;
  readonly proxySocket: string;
  readonly dataRoot: string;
  readonly state: string;
  readonly run: string;
}

function makePlaces(folder: string, engine: Engine, cofferdam: Cofferdam): Places & Record<string, string> {
  chmodSync(folder, 0o755);
  const make = (name: string, mode: number, uid: number = 0): string => {
    const path = join(folder, name);
    mkdirSync(path);
    chmodSync(path, mode);
    chownSync(path, uid, uid);
    return path;
  };
  const home = make('home', 0o755, caller.uid);
  const shared = make('shared', 0o755);
  const rootOnly = make('root', 0o700);
  const bobHome = make('bob', 0o755, otherUser.uid);
  for (const name of ['home/work', 'home/dir']) make(name, 0o755, caller.uid);
  make('root/secret', 0o755);
  writeFileSync(join(rootOnly, 'secret/canary'), 'only root reads this\n');
  writeFileSync(join(shared, 'secret'), 'only root reads this\n', { mode: 0o600 });
  writeFileSync(join(bobHome, 'letter'), 'of Bob\n', { mode: 0o600 });
  writeFileSync(join(home, 'image'), '');
  symlinkSync('/run', join(home, 'link'));
  symlinkSync(join(home, 'work'), join(home, 'worklink'));
  symlinkSync(engine.socket, join(home, 'socketlink'));
  if (!existsSync(join(home, 'sockethard'))) linkSync(engine.socket, join(home, 'sockethard'));
  return {
    home,
    shared,
    rootOnly,
    bobHome,
    socket: engine.socket,
    proxySocket: cofferdam.socket,
    dataRoot: engine.files.data,
    state: cofferdam.stateDir,
    run: cofferdam.runDir,
  };
}

/** What is on the engine before the caller comes: images, an administrator's containers, another user's. */
async function fillEngine(
  engine: Engine,
  cofferdam: Cofferdam,
  places: Places,
): Promise<Record<string, string>> {
  const admin = (...argv: string[]) => engine.cli.must(...argv);
  await importBusybox(engine.cli);
  for (const name of ['alpine', 'evil', 'mine', 'portainer/portainer-ce'])
    await admin('tag', 'busybox', name);
  await admin(
    'run',
    '-d',
    '--runtime=plain',
    '--name=legacy_runc',
    '-v',
    `${places.rootOnly}:/r`,
    'busybox',
    'sleep',
    '9999',
  );
  await admin('run', '-d', '--runtime=plain', '--pid=host', '--name=monitor', 'busybox', 'sleep', '9999');
  await admin('commit', '--change', 'ENV SYSBOX_SKIP_UID_SHIFT=/mnt', 'legacy_runc', 'switches');
  await admin('commit', '--change', 'WORKDIR /proc/self/fd/7', 'legacy_runc', 'trap');
  await admin('volume', 'create', '-o', 'type=none', '-o', 'o=bind', '-o', 'device=/', 'adminvol');
  const asCaller = (...argv: string[]) =>
    hostCommand('setpriv', callersDocker(cofferdam.socket, places.home, argv));
  await asCaller('network', 'create', 'proj_default');
  await asCaller('run', '-d', '--name=own1', '-v', 'devcache:/cache', 'alpine', 'sleep', '9999');
  await asCaller('run', '-d', '--name=ownbind', '-v', `${places.home}/work:/w`, 'alpine', 'sleep', '9999');
  await asCaller('exec', 'ownbind', 'ln', '-s', '/w', '/tmp/l');
  await admin('create', '--name=bobs', '-v', `${places.bobHome}:/w`, 'alpine', 'sleep', '9999');
  await admin('create', '--name=portainer', 'portainer/portainer-ce', 'sleep', '9999');
  const ids = await admin('inspect', '--format={{.Id}}', 'legacy_runc', 'bobs', 'portainer');
  const [legacy = '', bobs = '', portainer = ''] = ids.split('\n');
  await note(cofferdam, bobs, { caller: otherUser, socketGrant: false });
  await note(cofferdam, portainer, {
    caller: { ...caller, groups: [caller.gid], pid: 1 },
    socketGrant: true,
  });
  const hostNetwork = (await admin('network', 'inspect', '--format={{.Id}}', 'host')).trim();
  const exec = await asCaller('exec', '-d', 'own1', 'true').then(() => newExec(engine));
  const api = await admin('version', '--format={{.Server.APIVersion}}');
  return {
    prefix: legacy.slice(0, 12),
    hostNetwork,
    hostNetworkPrefix: hostNetwork.slice(0, 12),
    ownexec: exec,
    api: Number(api.slice(2)) > 47 ? '1.47' : api,
  };
}

/** Puts a container into the ledger as a create through the proxy would have. */
async function note(
  cofferdam: Cofferdam,
  id: string,
  of: {
    readonly caller: { uid: number; gid: number; groups: readonly number[]; pid: number };
    readonly socketGrant: boolean;
  },
): Promise<void> {
  const ledger = openLedger(cofferdam.stateDir);
  const image = 'alpine';
  const intent = ledger.intend({ image, digest: createDigest(image, undefined), mounts: [], ...of });
  await intent.durable;
  ledger.settle(intent, id);
}

/** An exec of the caller's own container that wasn't started yet. */
async function newExec(engine: Engine): Promise<string> {
  const made = await hostCommand('curl', [
    ...['--silent', '--unix-socket', engine.socket, '-H', 'Content-Type: application/json'],
    ...['--data', '{"Cmd":["true"],"AttachStdout":true}', 'http://docker/containers/own1/exec'],
  ]);
  const id = /"Id":"([0-9a-f]+)"/.exec(made)?.[1];
  if (id === undefined) throw new Error(`no exec: ${made}`);
  return id;
}

/** The map of a running process's user namespace; `undefined` when it has ended. */
export function uidMap(pid: number): string | undefined {
  return whileAlive(() => readFileSync(`/proc/${pid}/uid_map`, 'utf8').trim().replace(/\s+/g, ' '));
}

/** A process's namespace, told by its inode; `undefined` when the process has ended. */
export function namespaceOf(pid: number | 'self', kind: string): string | undefined {
  return whileAlive(() => readlinkSync(`/proc/${pid}/ns/${kind}`));
}

function whileAlive(read: () => string): string | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ESRCH'))
      return undefined;
    throw error;
  }
}
