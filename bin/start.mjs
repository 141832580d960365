// `npm start`: does what a fresh checkout still lacks (dependencies, build), then runs `cofferdam run`.
// Plain JavaScript without dependencies, because nothing is installed when it starts.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

function modified(path) {
  return existsSync(path) ? statSync(path).mtimeMs : 0;
}

function newest(folder) {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .reduce((latest, entry) => Math.max(latest, modified(join(entry.parentPath, entry.name))), 0);
}

function step(title, command, ...argv) {
  process.stderr.write(`cofferdam: ${title}…\n`);
  const { status, error } = spawnSync(command, argv, { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] });
  if (status === 0) return;
  process.stderr.write(
    `cofferdam: \`${[command, ...argv].join(' ')}\` failed${error ? `: ${error.message}` : ''}\n`,
  );
  process.exit(1);
}

// npm writes this file last, so it is as old as the last complete installation.
if (modified(join(root, 'node_modules/.package-lock.json')) < modified(join(root, 'package-lock.json'))) {
  step('installing the dependencies', 'npm', 'ci', '--no-audit', '--no-fund', '--loglevel=error');
}
const sources = Math.max(newest(join(root, 'src')), modified(join(root, 'tsconfig.build.json')));
if (modified(join(root, 'dist/.built')) < sources) {
  step('building', 'npm', 'run', 'build');
}

const daemon = spawn(process.execPath, [join(root, 'bin/cofferdam'), 'run', ...process.argv.slice(2)], {
  stdio: 'inherit',
});
// A terminal's Ctrl-C reaches the daemon by itself; what a supervisor sends to this process is passed on.
for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => daemon.kill(signal));
process.on('SIGINT', () => {});
daemon.on('exit', (code, signal) => {
  process.exitCode = code ?? (signal === 'SIGTERM' ? 143 : 1);
});
