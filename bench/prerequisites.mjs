// What `npm run bench` begins with: says what a fresh checkout or machine still lacks, and installs nothing of it.
// Plain JavaScript without dependencies, because there may be none yet.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

function found(command) {
  return spawnSync(command, ['--version'], { stdio: 'ignore' }).error === undefined;
}

const missing = [
  process.getuid() === 0 ? '' : 'root: engines and containers are started',
  existsSync(join(root, 'node_modules/.package-lock.json')) ? '' : 'the dependencies: run `npm ci`',
  found('docker') ? '' : "the docker command line: Debian's docker-cli package, or Docker's own",
  ...['apt-get', 'flock', 'nsenter', 'ip', 'tar', 'dd'].map((command) =>
    found(command) ? '' : `${command} (Debian's packages apt, util-linux, iproute2, tar, coreutils)`,
  ),
].filter(Boolean);
if (missing.length > 0) {
  process.stderr.write(`bench: this machine lacks\n${missing.map((what) => `  ${what}\n`).join('')}`);
  process.exit(2);
}
