import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadSettings, loadSettingsFile, shippedPath } from '../../src/settings/load.js';

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync('/var/tmp/cofferdam-settings-');
  file = join(folder, 'admin-settings.json');
  writeFileSync(file, '{"enhancedContainerIsolation": {"locked": true}}', { mode: 0o644 });
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('who can change the file', () => {
  it('accepts one that only root can write', () => {
    expect(loadSettings(file).enhancedContainerIsolation.locked).toBe(true);
  });

  it('refuses one that its group can write', () => {
    chmodSync(file, 0o664);
    expect(() => loadSettings(file)).toThrow(/can be written by its group \(mode 0664\)/);
  });

  it('refuses one that everybody can write', () => {
    chmodSync(file, 0o606);
    expect(() => loadSettings(file)).toThrow(/can be written by everybody/);
  });

  it.runIf(process.getuid?.() === 0)('refuses one that belongs to a user', () => {
    chownSync(file, 1000, 1000);
    expect(() => loadSettings(file)).toThrow(/belongs to uid 1000/);
  });

  it('refuses one in a folder that everybody can write', () => {
    chmodSync(folder, 0o777);
    expect(() => loadSettings(file)).toThrow(/its folder .* can be written by everybody/);
  });

  it('looks at the folder that a link leads to', () => {
    const open = join(folder, 'open');
    mkdirSync(open);
    writeFileSync(join(open, 'real.json'), '{}', { mode: 0o644 });
    chmodSync(open, 0o777);
    symlinkSync(join(open, 'real.json'), join(folder, 'link.json'));
    expect(() => loadSettings(join(folder, 'link.json'))).toThrow(/open can be written by everybody/);
  });
});

describe('a file that is none', () => {
  it('says so when there is nothing', () => {
    expect(() => loadSettings(join(folder, 'none.json'))).toThrow(/none\.json: does not exist/);
  });

  it('refuses a folder', () => {
    expect(() => loadSettings(folder)).toThrow(/is not a regular file/);
  });

  it('refuses a FIFO without waiting for a writer', () => {
    execFileSync('mkfifo', [join(folder, 'fifo')]);
    expect(() => loadSettings(join(folder, 'fifo'))).toThrow(/is not a regular file/);
  });

  it('refuses one that is too large', () => {
    writeFileSync(file, Buffer.alloc(9 * 1024 * 1024, ' '));
    expect(() => loadSettings(file)).toThrow(/larger than 8 MiB/);
  });
});

it('ships settings with isolation on, unlocked', () => {
  const { settings, warnings, ignored } = loadSettingsFile(shippedPath);
  expect(settings.enhancedContainerIsolation).toMatchObject({ value: true, locked: false });
  expect(warnings).toEqual([]);
  expect(ignored).toEqual([]);
});
