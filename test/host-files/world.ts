/**
 * A host with users, and an engine that they all may use: either plain dockerd, or dockerd behind cofferdam. The same
 * tests then show what the difference is.
 */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CommandResult, mustRun, runCommand } from '../../src/engine/embedded/command.js';
import { type Cofferdam, startCofferdam, startIsolatingEngine } from '../support/cofferdam.js';
import type { DockerCli } from '../support/docker-cli.js';
import { type Engine, type EngineVersion, importBusybox, startEngine } from '../support/engines.js';
import { HostUser } from './host-user.js';

export interface World {
  readonly kind: 'dockerd' | 'cofferdam';
  readonly engine: Engine;
  readonly cofferdam: Cofferdam | undefined;
  readonly cli: DockerCli;
  /** Everybody may search it; a mount of its own that propagates, as / does on hosts with systemd. */
  readonly base: string;
  /** Owned by root, readable by everybody: as /etc or /usr. */
  readonly system: string;
  readonly mallory: HostUser;
  readonly victim: HostUser;
  /** Runs docker as a user. */
  as(user: HostUser, ...argv: string[]): Promise<CommandResult>;
  /** Runs docker as root. */
  asRoot(...argv: string[]): Promise<CommandResult>;
  stop(): Promise<void>;
}

function makeHost(): Pick<World, 'base' | 'system' | 'mallory' | 'victim'> {
  const base = mkdtempSync(join(tmpdir(), 'cofferdam-host-'));
  chmodSync(base, 0o755);
  const system = join(base, 'system');
  mkdirSync(system, { mode: 0o755 });
  writeFileSync(join(system, 'shadow'), 'top secret\n', { mode: 0o600 });
  const closed = join(base, 'root-only');
  mkdirSync(closed, { mode: 0o700 });
  writeFileSync(join(closed, 'readable'), 'top secret\n', { mode: 0o644 });
  return {
    base,
    system,
    mallory: new HostUser({ uid: 61_001, homes: base }),
    victim: new HostUser({ uid: 61_002, homes: base }),
  };
}

async function removeHost(base: string): Promise<void> {
  await runCommand('umount', ['--recursive', base]);
  rmSync(base, { recursive: true, force: true });
}

/** Starts an engine, and cofferdam in front of it where wanted. Every user may use the socket: only that is tested. */
export async function openWorld(
  kind: World['kind'],
  version: EngineVersion,
  settings?: unknown,
): Promise<World> {
  const host = makeHost();
  await mustRun('mount', ['--bind', host.base, host.base]);
  await mustRun('mount', ['--make-shared', host.base]);
  const engine = await (kind === 'dockerd' ? startEngine({ version }) : startIsolatingEngine({ version }));
  let cofferdam: Cofferdam | undefined;
  const stop = async (): Promise<void> => {
    await cofferdam?.close();
    await engine.stop();
    await removeHost(host.base);
  };
  try {
    if (kind === 'cofferdam') {
      cofferdam = await startCofferdam({ engine, ...(settings === undefined ? {} : { settings }) });
      for (const folder of [join(cofferdam.runDir, '..'), cofferdam.runDir]) chmodSync(folder, 0o711);
    }
    const cli = cofferdam?.cli ?? engine.cli;
    chmodSync(cli.socket, 0o666);
    await importBusybox(engine.cli);
    return {
      kind,
      engine,
      cofferdam,
      cli,
      ...host,
      as: (user, ...argv) => user.docker(cli, ...argv),
      asRoot: (...argv) => cli.run(argv),
      stop,
    };
  } catch (problem) {
    await stop();
    throw problem;
  }
}
