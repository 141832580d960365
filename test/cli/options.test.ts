import { describe, expect, it } from 'vitest';
import { parseOptions, UsageError } from '../../src/cli/options.js';

function message(verb: string, argv: string[], environment = {}): string {
  try {
    parseOptions(verb, argv, environment);
  } catch (error) {
    if (error instanceof UsageError) return error.message;
    throw error;
  }
  throw new Error('the command line was accepted');
}

describe('defaults, environment and flags', () => {
  it('has defaults', () => {
    expect(parseOptions('run', [], {})).toMatchObject({
      listen: ['unix:///run/cofferdam/docker.sock'],
      engine: undefined,
      settings: undefined,
      state: '/var/lib/cofferdam',
      runDir: '/run/cofferdam',
      json: false,
    });
  });

  it('puts the socket into the run folder', () => {
    expect(parseOptions('run', ['--run-dir', '/tmp/x'], {}).listen).toEqual(['unix:///tmp/x/docker.sock']);
  });

  it('takes the environment, and flags before it', () => {
    const environment = {
      COFFERDAM_LISTEN: 'unix:///a.sock, unix:///b.sock',
      COFFERDAM_ENGINE: 'unix:///engine.sock',
      COFFERDAM_SETTINGS: '/s.json',
      COFFERDAM_STATE: '/state',
      COFFERDAM_RUN_DIR: '/run-dir',
    };
    expect(parseOptions('run', [], environment)).toMatchObject({
      listen: ['unix:///a.sock', 'unix:///b.sock'],
      engine: 'unix:///engine.sock',
      settings: '/s.json',
      state: '/state',
      runDir: '/run-dir',
    });
    const flags = ['--engine=unix:///other.sock', '--listen', 'unix:///c.sock', '--listen', 'unix:///d.sock'];
    expect(parseOptions('run', flags, environment)).toMatchObject({
      listen: ['unix:///c.sock', 'unix:///d.sock'],
      engine: 'unix:///other.sock',
    });
  });

  it('treats an empty variable as absent', () => {
    expect(parseOptions('run', [], { COFFERDAM_STATE: '', COFFERDAM_LISTEN: '' }).state).toBe(
      '/var/lib/cofferdam',
    );
  });

  it('leaves everything after -- alone', () => {
    const { operands } = parseOptions(
      'explain',
      ['--', 'docker', 'run', '--settings', 'x', '-v', '/:/x'],
      {},
    );
    expect(operands).toEqual(['docker', 'run', '--settings', 'x', '-v', '/:/x']);
  });
});

describe('errors', () => {
  it.each([
    ['run', ['--setings', 'x'], 'unknown option --setings; did you mean --settings?'],
    ['run', ['-x'], 'unknown option -x'],
    ['run', ['--json'], 'unknown option --json'],
    ['run', ['--state'], '--state needs a value: DIR'],
    ['run', ['--state', '--engine', 'unix:///x'], '--state needs a value: DIR'],
    ['run', ['--state', 'a', '--state', 'b'], '--state can be given once'],
    ['check', ['--json=yes'], '--json takes no value'],
    ['run', ['now'], 'unexpected operand "now"'],
    ['run', ['--engine', 'tcp://x:2375'], '--engine must be unix:///PATH, not "tcp://x:2375"'],
    ['run', ['--listen', '/run/x.sock'], '--listen must be unix:///PATH, not "/run/x.sock"'],
  ])('%s %j', (verb, argv, expected) => {
    expect(message(verb, argv)).toBe(expected);
  });

  it('checks the environment as well', () => {
    expect(message('run', [], { COFFERDAM_ENGINE: 'http://x' })).toMatch(/--engine must be unix/);
  });
});
