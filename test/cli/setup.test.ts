import { existsSync, readFileSync } from 'node:fs';
import { afterEach, describe, expect, test } from 'vitest';
import { runCommand } from '../../src/engine/embedded/command.js';
import { cofferdamFolders } from '../support/cofferdam.js';
import { type Engine, importBusybox, startEngine } from '../support/engines.js';
import { hostMap, parseUidMap } from '../support/uid-map.js';

let engine: Engine | undefined;
afterEach(async () => {
  await engine?.stop();
});

describe('setup and unsetup of an engine that was there before', () => {
  test.each(['20.10', '28.5'] as const)(
    '%s: says what changes, does it, and takes it back',
    async (version) => {
      const running = await startEngine({ version });
      engine = running;
      const { state, run, launcher } = cofferdamFolders(running.folder);
      const verb = (name: string, ...argv: string[]) =>
        runCommand(process.execPath, [
          ...['bin/cofferdam', name, '--engine', `unix://${running.socket}`],
          ...['--state', state, '--run-dir', run, ...argv],
        ]);
      const original = readFileSync(running.files.configuration, 'utf8');

      const dry = await verb('setup', '--dry-run');
      expect(dry.stdout).toContain('+   "default-runtime": "sysbox-runc"');
      expect(dry.code).toBe(0);
      expect(readFileSync(running.files.configuration, 'utf8')).toBe(original);
      expect(existsSync(launcher)).toBe(false);

      const done = await verb('setup');
      expect(done.stderr).toBe('');
      expect(done.stdout).toContain('the engine isolates every new container');
      expect(done.stdout).toContain('DOCKER_BUILDKIT_RUNC_COMMAND');
      await importBusybox(running.cli);
      const map = await running.cli.must(
        'run',
        '--rm',
        '--network',
        'none',
        'busybox',
        'cat',
        '/proc/self/uid_map',
      );
      expect(parseUidMap(map)).toEqual({ inside: 0, outside: 100_000, size: 65_536 });

      const undone = await verb('unsetup');
      expect(undone.stdout).toContain('-   "default-runtime": "sysbox-runc"');
      expect(readFileSync(running.files.configuration, 'utf8')).toBe(original);
      // The engine is its old self at once, not only after a restart.
      const plain = await running.cli.must(
        'run',
        '--rm',
        '--network=none',
        'busybox',
        'cat',
        '/proc/self/uid_map',
      );
      expect(parseUidMap(plain)).toEqual(hostMap);
    },
  );
});
