/**
 * `cofferdam install` and `cofferdam uninstall`: the daemon as a systemd service in the place of the engine's
 * socket.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import {
  describeInstallation,
  type InstallationPlace,
  isInstalled,
  install as putInPlace,
  uninstall as takeAway,
} from './installation.js';
import { dockerSocket, engineSocketPath } from './installed-paths.js';
import { type Options, parseOptions } from './options.js';
import { colour, complain, print } from './output.js';
import { setup } from './setup.js';
import { unsetup } from './unsetup.js';

/** How this very program is started again. */
function ownCommand(): string[] {
  const packaged = '/usr/bin/cofferdam';
  const checkout = fileURLToPath(new URL('../../bin/cofferdam', import.meta.url));
  return checkout.startsWith('/usr/lib/') && existsSync(packaged) ? [packaged] : [process.execPath, checkout];
}

function systemctl(...argv: string[]): void {
  try {
    execFileSync('systemctl', argv, { stdio: ['ignore', 'ignore', 'pipe'], encoding: 'utf8' });
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    throw new Error(`systemctl ${argv.join(' ')} failed: ${detail}`, { cause: error });
  }
}

function placeOf(options: Options): InstallationPlace {
  const flags = [
    ...['--listen', `unix://${dockerSocket}`, '--engine', `unix://${engineSocketPath}`],
    ...['--state', options.state, '--run-dir', options.runDir],
    ...(options.settings === undefined ? [] : ['--settings', options.settings]),
  ];
  return {
    unitFolder: '/etc/systemd/system',
    stateDir: options.state,
    dockerSocket,
    dockerGroup: dockerGroup(),
    engineSocket: engineSocketPath,
    command: [...ownCommand(), 'run', ...flags],
    systemctl,
    say: complain,
  };
}

/** The number of the group docker (group(5)); root's own where there is none. */
function dockerGroup(): number {
  const line = readFileSync('/etc/group', 'utf8')
    .split('\n')
    .find((text) => text.startsWith('docker:'));
  return Number(line?.split(':')[2] ?? 0);
}

/** Why this host can't have an installation; `undefined` when it can. */
function obstacle(): string | undefined {
  if (process.geteuid?.() !== 0) return 'be root to install';
  // sd_booted(3): the folder is there exactly when systemd is the init.
  if (!existsSync('/run/systemd/system'))
    return 'systemd does not run this host; start `cofferdam run` by your own init';
  try {
    systemctl('cat', 'docker.socket');
    return undefined;
  } catch {
    return 'this host has no docker.socket unit: install the Docker Engine from your distribution or from Docker first';
  }
}

/** Installs the service, or with --dry-run only says what would be done; 1 when this host can't have it. */
export async function install(argv: readonly string[], environment: NodeJS.ProcessEnv): Promise<number> {
  const options = parseOptions('install', argv, environment);
  const place = placeOf(options);
  const reason = obstacle();
  if (reason !== undefined) {
    complain(reason);
    return 1;
  }
  const update = isInstalled(place);
  const engine = update ? ['--engine', `unix://${engineSocketPath}`] : [];
  const dry = options.switches.has('dry-run');
  const registered = await setup(
    ['--state', options.state, '--run-dir', options.runDir, ...engine, ...(dry ? ['--dry-run'] : [])],
    environment,
  );
  if (registered !== 0) return registered;
  if (dry) {
    for (const line of describeInstallation(place)) print(line);
    return 0;
  }
  if (update) {
    putInPlace(place);
    print(`${colour('green', 'ok')}  the installation is up to date, the daemon was restarted`);
    return 0;
  }
  for (const line of describeInstallation(place)) print(line);
  try {
    putInPlace(place);
  } catch (error) {
    complain('the installation failed and is taken back; `journalctl -u cofferdam` says more');
    await unsetup(['--state', options.state], environment);
    throw error;
  }
  print(`${colour('green', 'ok')}  docker clients reach cofferdam at ${dockerSocket}`);
  print('Builds by BuildKit are refused until dockerd has been restarted once, when it suits you:');
  print('  systemctl restart docker.socket docker.service');
  return 0;
}

/** Takes the service away; 1 when it was never there. */
export async function uninstall(argv: readonly string[], environment: NodeJS.ProcessEnv): Promise<number> {
  const options = parseOptions('uninstall', argv, environment);
  if (process.geteuid?.() !== 0) {
    complain('be root to uninstall');
    return 1;
  }
  if (!takeAway(placeOf(options))) {
    complain('cofferdam is not installed here');
    return 1;
  }
  const unregistered = await unsetup(['--state', options.state], environment);
  print(
    `${colour('green', 'ok')}  the engine serves ${dockerSocket} itself again; the state stays in ${options.state}`,
  );
  return unregistered;
}
