import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { type EngineOptions, importBusybox, startEngine } from '../support/engines.js';
import { mountsBelow, processesOf } from '../support/left-overs.js';

const engines: readonly EngineOptions[] = [
  { version: '20.10' },
  { version: '26.1', network: true },
  { version: '28.5', store: 'overlay2', buildx: '0.29' },
  { version: '28.5', store: 'containerd' },
];

test.each(engines)(
  'engine $version ($store) runs a container and leaves nothing behind',
  async (options) => {
    const engine = await startEngine(options);
    try {
      expect(await engine.cli.must('version', '--format', '{{.Server.Version}}')).toMatch(
        `${options.version}.`,
      );
      await importBusybox(engine.cli);
      const network = options.network ? 'bridge' : 'none';
      expect(
        await engine.cli.must(
          'run',
          '--rm',
          '--network',
          network,
          'busybox',
          'stat',
          '-c',
          '%u',
          '/data/by-999',
        ),
      ).toBe('999');
      await engine.cli.must('run', '--detach', '--network', network, 'busybox', 'sleep', '1000');
      expect(processesOf(engine.folder).length).toBeGreaterThan(2);
      if (options.network) {
        await engine.cli.must(
          'run',
          '--detach',
          '--publish',
          '8080:80',
          'busybox',
          'httpd',
          '-f',
          '-h',
          '/data',
        );
        expect(
          (
            await engine.inNetwork(
              'curl',
              '-s',
              '--retry',
              '5',
              '--retry-connrefused',
              'http://127.0.0.1:8080/by-root',
            )
          ).stdout,
        ).toBe('root\n');
      }
      const terminal = await engine.cli.onTerminal(
        ['run', '--rm', '-it', '--network', network, 'busybox', 'sh'],
        'tty; exit 3\n',
        '# ',
      );
      expect(terminal).toMatchObject({ code: 3, stdout: expect.stringContaining('/dev/pts/0') });
    } finally {
      await engine.stop();
    }
    expect({
      folder: existsSync(engine.folder),
      processes: processesOf(engine.folder),
      mounts: mountsBelow(engine.folder),
    }).toEqual({ folder: false, processes: [], mounts: [] });
  },
  180_000,
);
