import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type InstallationPlace, install, uninstall } from '../../src/cli/installation.js';

let folder: string;
let place: InstallationPlace;
let calls: string[];
let failing: string | undefined;
let engine: Server;
let said: string[];

function listen(path: string): Promise<Server> {
  return new Promise((resolve) => {
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.pipe(socket);
    });
    server.listen(path, () => resolve(server));
  });
}

/** Sends a word over a socket and gives what comes back. */
function echo(path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(path, () => socket.end('hello'));
    socket.on('error', reject);
    socket.on('data', (chunk) => resolve(chunk.toString()));
  });
}

/** Every file below the units' folder with its content. */
function units(): Record<string, string> {
  return Object.fromEntries(
    readdirSync(place.unitFolder, { recursive: true, withFileTypes: true })
      .map((entry) => join(entry.parentPath, entry.name))
      .map((path) => [
        path.slice(place.unitFolder.length),
        statSync(path).isFile() ? readFileSync(path, 'utf8') : 'folder',
      ]),
  );
}

beforeEach(async () => {
  folder = mkdtempSync('/var/tmp/cofferdam-install-');
  calls = [];
  said = [];
  failing = undefined;
  mkdirSync(join(folder, 'units'));
  place = {
    unitFolder: join(folder, 'units'),
    stateDir: join(folder, 'state'),
    dockerSocket: join(folder, 'docker.sock'),
    dockerGroup: 999,
    engineSocket: join(folder, 'engine/docker.sock'),
    command: [
      '/usr/bin/cofferdam',
      'run',
      '--listen',
      'unix:///run/docker.sock',
      '--settings',
      '/etc/my settings%.json',
    ],
    systemctl: (...argv) => {
      calls.push(argv.join(' '));
      if (argv.join(' ') === failing) throw new Error(`systemctl ${failing} failed`);
    },
    say: (text) => said.push(text),
  };
  engine = await listen(place.dockerSocket);
  chmodSync(place.dockerSocket, 0o660);
  chownSync(
    place.dockerSocket,
    process.getuid?.() ?? 0,
    process.getuid?.() === 0 ? 4711 : (process.getgid?.() ?? 0),
  );
});
afterEach(async () => {
  await new Promise((resolve) => engine.close(resolve));
  rmSync(folder, { recursive: true });
});

describe('install', () => {
  it("moves the engine's socket where only root can reach it, and open connections go on", async () => {
    const open = connect(place.dockerSocket);
    await new Promise((resolve) => open.once('connect', resolve));
    install(place);
    expect(existsSync(place.dockerSocket)).toBe(false);
    expect(statSync(join(folder, 'engine')).mode & 0o777).toBe(0o700);
    expect(statSync(place.engineSocket).mode & 0o777).toBe(0o600);
    expect(await echo(place.engineSocket)).toBe('hello');
    expect(units()['/cofferdam.socket']).toContain(
      `ListenStream=${place.dockerSocket}\nSocketUser=0\nSocketGroup=4711\nSocketMode=0660\n`,
    );
    const answer = new Promise((resolve) => open.once('data', (chunk) => resolve(chunk.toString())));
    open.end('still here');
    expect(await answer).toBe('still here');
    expect(calls).toEqual(['daemon-reload', 'enable --now cofferdam.socket cofferdam.service']);
  });

  it('brings an installation up to date without moving anything', () => {
    install(place);
    calls.length = 0;
    install({ ...place, command: ['/usr/bin/cofferdam', 'run'] });
    expect(calls).toEqual([
      'daemon-reload',
      'restart cofferdam.service',
      'enable cofferdam.socket cofferdam.service',
    ]);
    expect(existsSync(place.engineSocket)).toBe(true);
    expect(units()['/cofferdam.service']).toContain('ExecStart=/usr/bin/cofferdam run\n');
  });

  it.each(['daemon-reload', 'enable --now cofferdam.socket cofferdam.service'])(
    'takes everything back when `systemctl %s` fails',
    async (step) => {
      writeFileSync(join(place.unitFolder, 'other.service'), 'mine');
      const before = { units: units(), socket: statSync(place.dockerSocket) };
      failing = step;
      expect(() => install(place)).toThrow(step);
      expect(units()).toEqual(before.units);
      expect(statSync(place.dockerSocket)).toMatchObject({
        mode: before.socket.mode,
        gid: before.socket.gid,
      });
      expect(await echo(place.dockerSocket)).toBe('hello');
      expect(existsSync(join(place.stateDir, 'installation.json'))).toBe(false);
    },
  );

  it('works where no engine listens yet', async () => {
    await new Promise((resolve) => engine.close(resolve));
    rmSync(place.dockerSocket, { force: true });
    install(place);
    expect(calls).toContain('enable --now cofferdam.socket cofferdam.service');
    expect(units()['/cofferdam.socket']).toContain('SocketGroup=999\nSocketMode=0660\n');
    expect(uninstall(place)).toBe(true);
    engine = await listen(place.dockerSocket);
  });
});

describe('uninstall', () => {
  it('puts everything back: socket, owner, mode and units', async () => {
    mkdirSync(join(place.unitFolder, 'docker.socket.d'));
    writeFileSync(join(place.unitFolder, 'docker.socket.d/mine.conf'), '[Socket]\n');
    const before = { units: units(), socket: statSync(place.dockerSocket) };
    install(place);
    expect(uninstall(place)).toBe(true);
    expect(units()).toEqual(before.units);
    expect(statSync(place.dockerSocket)).toMatchObject({
      ino: before.socket.ino,
      mode: before.socket.mode,
      uid: before.socket.uid,
      gid: before.socket.gid,
    });
    expect(await echo(place.dockerSocket)).toBe('hello');
    expect(calls.slice(-2)).toEqual(['disable --now cofferdam.socket cofferdam.service', 'daemon-reload']);
  });

  it('says when there is nothing to take away', () => {
    expect(uninstall(place)).toBe(false);
  });

  it('goes on to the end when systemctl fails', () => {
    install(place);
    failing = 'disable --now cofferdam.socket cofferdam.service';
    expect(uninstall(place)).toBe(true);
    expect(units()).toEqual({});
    expect(said).toEqual([expect.stringContaining('could not be taken back')]);
  });
});

describe('the units', () => {
  it('quote what systemd would read otherwise', () => {
    install(place);
    expect(units()['/cofferdam.service']).toContain('--settings "/etc/my settings%%.json"\n');
  });

  it('are accepted by systemd', () => {
    install(place);
    const unit = join(folder, 'cofferdam.service');
    // The command must exist for systemd-analyze to be content.
    writeFileSync(
      unit,
      (units()['/cofferdam.service'] ?? '').replace('/usr/bin/cofferdam', process.execPath),
    );
    const text = execFileSync('systemd-analyze', ['verify', '--man=no', '--recursive-errors=no', unit], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    expect(text).toBe('');
  });
});
