import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { commands } from '../../src/cli/commands.js';
import { completionScript } from '../../src/cli/completion.js';
import { commandManual, generalManual } from '../../src/cli/manual.js';

/** What bash offers for a command line whose last word is being typed. */
function complete(...words: string[]): string[] {
  const script = `${completionScript('bash')}
COMP_WORDS=("$@"); COMP_CWORD=$(( $# - 1 )); _cofferdam; printf '%s\\n' "\${COMPREPLY[@]}"`;
  return execFileSync('bash', ['-c', script, 'bash', 'cofferdam', ...words], { encoding: 'utf8' })
    .trim()
    .split('\n');
}

describe('bash completion', () => {
  it('offers verbs', () => {
    expect(complete('st')).toEqual(['status']);
    expect(complete('')).toEqual([...commands.map(({ name }) => name), 'help', 'version']);
  });

  it('offers the options and choices of a verb', () => {
    expect(complete('audit', '--f')).toEqual(['--follow']);
    expect(complete('isolation', 'o')).toEqual(['on', 'off']);
    expect(complete('help', 'ran')).toEqual(['ranges']);
  });

  it('offers files where a file is meant', () => {
    expect(complete('check', '--settings', '/etc/passw')).toContain('/etc/passwd');
    expect(complete('check', '/etc/passw')).toContain('/etc/passwd');
  });
});

describe.each(['zsh', 'fish'])('%s completion', (shell) => {
  it('knows every verb and option', () => {
    const script = completionScript(shell) ?? '';
    for (const { name, options } of commands) {
      expect(script).toContain(name);
      for (const option of options) expect(script).toContain(option.name);
    }
  });
});

it('knows no other shells', () => {
  expect(completionScript('toString')).toBeUndefined();
});

describe('man pages', () => {
  it('has a page for every verb, with its options, exit codes and examples', () => {
    for (const command of commands) {
      const page = commandManual(command, '1.2.3');
      expect(page).toContain(`.TH COFFERDAM-${command.name.toUpperCase()} 1 "" "cofferdam 1.2.3"`);
      for (const { name } of command.options) expect(page).toContain(`\\-\\-${name.replaceAll('-', '\\-')}`);
      for (const section of ['NAME', 'SYNOPSIS', 'DESCRIPTION', 'OPTIONS', 'EXIT STATUS', 'EXAMPLES']) {
        expect(page).toContain(`.SH ${section}\n`);
      }
    }
  });

  it('lists every verb on the general page', () => {
    for (const { name } of commands) expect(generalManual('1')).toContain(`.TP\n\\fB${name}\\fR\n`);
  });

  it('starts no line with a dot or quote that is not a request', () => {
    const requests = /^\.(TH|SH|PP|TP|nf|fi)\b/;
    const pages = [generalManual('1'), ...commands.map((command) => commandManual(command, '1'))];
    const stray = pages
      .flatMap((page) => page.split('\n'))
      .filter((line) => /^[.']/.test(line) && !requests.test(line));
    expect(stray).toEqual([]);
  });
});
