// Builds the Debian package: `npm run package [FOLDER]`. Everything that runs is in it: the compiled program, its
// dependencies as locked, and the Node.js that built it (Debian's own is older than the program needs).
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { commands } from '../dist/cli/commands.js';
import { completionScript } from '../dist/cli/completion.js';
import { commandManual, generalManual } from '../dist/cli/manual.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const output = resolve(process.argv[2] ?? join(root, 'release'));
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
/** The time that every file of the package carries. */
const seconds = Number(
  process.env.SOURCE_DATE_EPOCH ??
    execFileSync('git', ['log', '-1', '--format=%ct'], { cwd: root, encoding: 'utf8' }),
);
const stage = mkdtempSync(join(tmpdir(), 'cofferdam-package-'));

function run(command, ...argv) {
  const env = { ...process.env, SOURCE_DATE_EPOCH: String(seconds) };
  return execFileSync(command, argv, {
    cwd: root,
    env,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

function write(path, content, mode = 0o644) {
  const target = join(stage, path);
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, content);
  chmodSync(target, mode);
}

function copy(from, to) {
  cpSync(from, join(stage, to), { recursive: true, dereference: true });
}

/** The folders of the dependencies that the program needs at run time. */
function dependencies() {
  return run('npm', 'ls', '--omit=dev', '--all', '--parseable')
    .trim()
    .split('\n')
    .filter((path) => path.includes('/node_modules/'));
}

function program() {
  for (const folder of ['dist', 'config', 'bin']) copy(join(root, folder), `usr/lib/cofferdam/${folder}`);
  for (const file of ['package.json', 'LICENSE']) copy(join(root, file), `usr/lib/cofferdam/${file}`);
  for (const path of dependencies()) copy(path, `usr/lib/cofferdam/${relative(root, path)}`);
  mkdirSync(join(stage, 'usr/lib/cofferdam/node/bin'), { recursive: true });
  copyFileSync(process.execPath, join(stage, 'usr/lib/cofferdam/node/bin/node'));
  chmodSync(join(stage, 'usr/lib/cofferdam/node/bin/node'), 0o755);
  const launcher = '#!/bin/sh\nexec /usr/lib/cofferdam/node/bin/node /usr/lib/cofferdam/bin/cofferdam "$@"\n';
  write('usr/bin/cofferdam', launcher, 0o755);
}

function documentation() {
  const page = (name, text) => write(`usr/share/man/man1/${name}.1.gz`, gzipSync(text, { level: 9 }));
  page('cofferdam', generalManual(version));
  for (const command of commands) page(`cofferdam-${command.name}`, commandManual(command, version));
  write('usr/share/bash-completion/completions/cofferdam', completionScript('bash'));
  write('usr/share/zsh/vendor-completions/_cofferdam', completionScript('zsh'));
  write('usr/share/fish/vendor_completions.d/cofferdam.fish', completionScript('fish'));
  for (const name of ['README.md', 'SECURITY.md', 'CHANGELOG.md'])
    copy(join(root, name), `usr/share/doc/cofferdam/${name}`);
  copy(join(root, 'docs'), 'usr/share/doc/cofferdam/docs');
  copy(join(root, 'LICENSE'), 'usr/share/doc/cofferdam/copyright');
}

/** Every file and folder of the stage below a folder, depth first. */
function tree(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? [...tree(path), path] : [path];
  });
}

function control(architecture) {
  const paths = tree(stage);
  const bytes = paths.reduce((total, path) => total + lstatSync(path).size, 0);
  const values = { VERSION: version, ARCHITECTURE: architecture, SIZE: String(Math.ceil(bytes / 1024)) };
  const template = readFileSync(join(root, 'packaging/debian/control.in'), 'utf8');
  write(
    'DEBIAN/control',
    template.replace(/@([A-Z]+)@/g, (_, name) => values[name]),
  );
  for (const script of ['postinst', 'prerm', 'postrm']) {
    write(`DEBIAN/${script}`, readFileSync(join(root, 'packaging/debian', script)), 0o755);
  }
}

/** Modes that don't depend on the builder's umask, and one time for everything, so that equal sources give equal packages. */
function normalise() {
  for (const path of [...tree(stage), stage]) {
    const stats = lstatSync(path);
    chmodSync(path, stats.isDirectory() || (stats.mode & 0o100) !== 0 ? 0o755 : 0o644);
    utimesSync(path, seconds, seconds);
  }
}

try {
  const architecture = run('dpkg', '--print-architecture').trim();
  program();
  documentation();
  control(architecture);
  normalise();
  mkdirSync(output, { recursive: true });
  const file = join(output, `cofferdam_${version}_${architecture}.deb`);
  run('dpkg-deb', '--root-owner-group', '-Zzstd', '-z3', '--build', stage, file);
  process.stdout.write(`${file}\n`);
} finally {
  rmSync(stage, { recursive: true, force: true });
}
