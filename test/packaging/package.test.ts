import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { commands } from '../../src/cli/commands.js';
import { setup as build } from '../support/build.js';
import { type DebianRoot, debianRoot } from './debian-root.js';
import { makePackage } from './package-file.js';

let output: string;
let file: string;
let root: DebianRoot | undefined;

beforeAll(async () => {
  await build();
  output = mkdtempSync('/var/tmp/cofferdam-release-');
  file = makePackage(output);
});
afterEach(() => {
  root?.remove();
  root = undefined;
});
afterAll(() => rmSync(output, { recursive: true }));

async function prepare(suite: 'bookworm' | 'trixie'): Promise<DebianRoot> {
  root = await debianRoot(suite);
  copyFileSync(file, join(root.path, 'tmp/cofferdam.deb'));
  return root;
}

/** The first time on a machine a whole Debian is fetched and unpacked, in milliseconds. */
const debootstrapMilliseconds = 400_000;

describe.each(['bookworm', 'trixie'] as const)('on Debian %s', (suite) => {
  it(
    'installs, works, upgrades, is removed and purged',
    async () => {
      const debian = await prepare(suite);
      const before = readdirSync(join(debian.path, 'usr/bin'));
      const installed = await debian.run('dpkg', '--install', '/tmp/cofferdam.deb');
      expect(installed).toMatchObject({ code: 0, text: expect.stringContaining('Run `cofferdam install`') });

      expect(await debian.run('cofferdam', '--version')).toMatchObject({
        code: 0,
        text: expect.stringMatching(/^cofferdam \d/),
      });
      expect((await debian.run('cofferdam', 'check')).text).toContain(
        '/usr/lib/cofferdam/config/admin-settings.json',
      );
      // The ledger loads the native library that makes system calls.
      expect(await debian.run('cofferdam', 'ranges')).toMatchObject({
        code: 0,
        text: expect.stringContaining('CONTAINER'),
      });
      expect((await debian.run('cofferdam', 'status')).code).toBe(3);
      for (const { name } of commands)
        expect(debian.exists(`usr/share/man/man1/cofferdam-${name}.1.gz`)).toBe(true);

      const upgraded = await debian.run('dpkg', '--install', '/tmp/cofferdam.deb');
      expect(upgraded.code).toBe(0);
      expect(upgraded.text).not.toContain('nothing is isolated yet');
      expect(debian.exists('var/lib/cofferdam')).toBe(true);

      mkdirSync(join(debian.path, 'etc/cofferdam'));
      writeFileSync(join(debian.path, 'etc/cofferdam/admin-settings.json'), '{}');
      expect((await debian.run('dpkg', '--remove', 'cofferdam')).code).toBe(0);
      expect(readdirSync(join(debian.path, 'usr/bin'))).toEqual(before);
      expect(debian.exists('usr/lib/cofferdam')).toBe(false);
      expect(debian.exists('etc/cofferdam/admin-settings.json')).toBe(true);

      expect((await debian.run('dpkg', '--purge', 'cofferdam')).code).toBe(0);
      expect(debian.exists('var/lib/cofferdam')).toBe(false);
      expect(debian.exists('etc/cofferdam')).toBe(false);
    },
    debootstrapMilliseconds,
  );
});

describe('the package', () => {
  it('is the same when it is built again', () => {
    const again = mkdtempSync(join(output, 'again-'));
    expect(readFileSync(makePackage(again)).equals(readFileSync(file))).toBe(true);
  });

  it('belongs to root, and nobody else can write in it', () => {
    const lines = execFileSync('dpkg-deb', ['--contents', file], { encoding: 'utf8' }).trim().split('\n');
    expect(
      lines.filter((line) => !/^.{5}[^w].{2}[^w]. root\/root /.test(line) && !line.startsWith('l')),
    ).toEqual([]);
  });

  it('has no development files', () => {
    const contents = execFileSync('dpkg-deb', ['--contents', file], { encoding: 'utf8' });
    expect(contents).not.toMatch(/node_modules\/(vitest|typescript|@biomejs|knip|@types)\//);
    expect(contents).toMatch(/node_modules\/koffi\//);
  });
});
