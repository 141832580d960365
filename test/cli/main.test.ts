import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { commands } from '../../src/cli/commands.js';
import { setup as build } from '../support/build.js';

const program = fileURLToPath(new URL('../../bin/cofferdam', import.meta.url));

interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly error: string;
}

function cofferdam(...argv: string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(process.execPath, [program, ...argv], { encoding: 'utf8' }, (failure, out, error) => {
      resolve({ code: failure === null ? 0 : Number(failure.code), out, error });
    });
  });
}

let folder: string;
beforeAll(build);
beforeEach(() => {
  folder = mkdtempSync('/var/tmp/cofferdam-cli-');
});
afterEach(() => rmSync(folder, { recursive: true }));

function settings(text: string): string {
  const path = join(folder, 'settings.json');
  writeFileSync(path, text, { mode: 0o644 });
  return path;
}

describe('help', () => {
  it('lists every verb', async () => {
    const { code, out } = await cofferdam('--help');
    expect(code).toBe(0);
    for (const command of commands) expect(out).toContain(`  ${command.name} `);
  });

  it.each(commands.map((command) => command.name))('explains %s with options and examples', async (name) => {
    const { code, out, error } = await cofferdam(name, '--help');
    expect({ code, error }).toEqual({ code: 0, error: '' });
    expect(out).toContain(`Usage: cofferdam ${name}`);
    expect(out).toContain('--settings FILE');
    expect(out).toMatch(/Examples:\n {2}# .+\n {2}.*cofferdam/);
    expect((await cofferdam('help', name)).out).toBe(out);
  });

  it('prints no colours into a pipe', async () => {
    const { out } = await cofferdam('check');
    expect(out).not.toContain('\u001b');
  });
});

describe('exit codes', () => {
  it('ends with 2 and the help without a verb', async () => {
    expect(await cofferdam()).toMatchObject({ code: 2, error: expect.stringContaining('Usage:') });
  });

  it('ends with 2 at an unknown verb, and suggests one', async () => {
    expect(await cofferdam('stauts')).toMatchObject({
      code: 2,
      error: expect.stringContaining('unknown verb stauts; did you mean status?'),
    });
  });

  it('ends with 2 at an unknown option, and names the help', async () => {
    const { code, error } = await cofferdam('check', '--jsn');
    expect(code).toBe(2);
    expect(error).toBe(
      'cofferdam: unknown option --jsn; did you mean --json?\ncofferdam: try `cofferdam check --help`\n',
    );
  });

  it('ends with 78 at wrong settings', async () => {
    const path = settings('{\n  "blockDockerLoad": { "value": "yes" }\n}');
    expect(await cofferdam('check', path)).toEqual({
      code: 78,
      out: '',
      error: `cofferdam: ${path}:2:33: blockDockerLoad.value: must be true or false\n`,
    });
  });
});

describe('check', () => {
  it('says what a good file means', async () => {
    const path = settings(
      '{"enhancedContainerIsolation": {"locked": true}, "kubernetes": {"enabled": true}, "hostfile": 1}',
    );
    const { code, out, error } = await cofferdam('check', path);
    expect(code).toBe(0);
    expect(out).toContain(`ok  ${path}`);
    expect(out).toContain('isolation is on, locked');
    expect(out).toContain('ignored: kubernetes');
    expect(error).toContain('unknown key, ignored (did you mean hostFiles?)');
  });

  it('warns of commands that mean nothing', async () => {
    const list = { type: 'deny', commands: ['push', 'psuh', 'image*', 'compose'] };
    const path = settings(
      JSON.stringify({ enhancedContainerIsolation: { dockerSocketMount: { commandList: list } } }),
    );
    const { code, error } = await cofferdam('check', path);
    expect(code).toBe(0);
    expect(error.match(/"\w+" is no docker command/g)).toEqual([
      '"psuh" is no docker command',
      '"compose" is no docker command',
    ]);
  });

  it('speaks JSON', async () => {
    const good = await cofferdam('check', '--json', settings('{}'));
    expect(JSON.parse(good.out)).toMatchObject({
      valid: true,
      settings: { enhancedContainerIsolation: { value: true } },
    });
    const bad = await cofferdam('check', '--json', settings('{"audit": 1}'));
    expect(bad.code).toBe(78);
    expect(JSON.parse(bad.out)).toMatchObject({ valid: false, issues: [{ key: 'audit', line: 1 }] });
  });

  it('takes the file that the environment or --settings names', async () => {
    const path = settings('{"existingContainers": "refuse"}');
    const { out } = await cofferdam('check', '--json', '--settings', path);
    expect(JSON.parse(out)).toMatchObject({ path, settings: { existingContainers: 'refuse' } });
  });
});
