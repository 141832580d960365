/** Runs the docker command line against a socket, with a configuration of its own, with or without a terminal. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CommandResult, runCommand } from '../../src/engine/embedded/command.js';
import { cliPlugins } from './engine-releases.js';

export interface DockerRunOptions {
  readonly input?: string | Buffer;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** One user's command line: an engine's socket and a configuration folder with the plugins. */
export class DockerCli {
  readonly configFolder: string;
  readonly socket: string;
  readonly #environment: Readonly<Record<string, string>>;

  private constructor(socket: string, configFolder: string) {
    this.socket = socket;
    this.configFolder = configFolder;
    this.#environment = { DOCKER_HOST: `unix://${socket}`, DOCKER_CONFIG: configFolder };
  }

  static async open(socket: string, options: { buildx?: '0.13' | '0.29' } = {}): Promise<DockerCli> {
    const folder = mkdtempSync(join(tmpdir(), 'cofferdam-docker-config-'));
    // The first folder wins: buildx 0.29 alone, then everything of Debian 13.
    const plugins = [await cliPlugins(options.buildx ?? '0.13'), await cliPlugins('0.13')];
    writeFileSync(join(folder, 'config.json'), JSON.stringify({ cliPluginsExtraDirs: plugins }));
    return new DockerCli(socket, folder);
  }

  close(): void {
    rmSync(this.configFolder, { recursive: true, force: true });
  }

  /** Environment for a program that calls the docker command line itself. */
  get environment(): NodeJS.ProcessEnv {
    return { ...process.env, ...this.#environment };
  }

  /** Runs `docker …` to its end. */
  run(argv: readonly string[], options: DockerRunOptions = {}): Promise<CommandResult> {
    return runCommand('docker', argv, {
      env: { ...this.environment, ...options.env },
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      ...(options.input === undefined ? {} : { input: options.input }),
    });
  }

  /** Runs `docker …` to its end and returns its trimmed output; throws with its error output when it fails. */
  async must(...argv: string[]): Promise<string> {
    const result = await this.run(argv);
    if (result.code === 0) return result.stdout.trim();
    throw new Error(`docker ${argv.join(' ')}: exit code ${result.code}: ${result.stderr || result.stdout}`);
  }

  /** Starts `docker …` and leaves its streams to the caller. */
  start(argv: readonly string[], options: DockerRunOptions = {}): ChildProcessWithoutNullStreams {
    return spawn('docker', argv, { cwd: options.cwd, env: { ...this.environment, ...options.env } });
  }

  /**
   * Runs `docker …` on a terminal (script(1) of util-linux) and types `input` once `prompt` was printed.
   * The output has the terminal's line ends.
   */
  onTerminal(argv: readonly string[], input = '', prompt?: string): Promise<CommandResult> {
    return new Promise((resolve) => {
      const line = ['docker', ...argv].map(quote).join(' ');
      const child = spawn('script', ['--quiet', '--return', '--command', line, '/dev/null'], {
        env: { ...this.environment, TERM: 'xterm' },
      });
      let stdout = '';
      let typed = prompt === undefined;
      if (typed) child.stdin.write(input);
      child.stdout.on('data', (chunk: Buffer) => {
        stdout += chunk.toString();
        if (!typed && prompt !== undefined && stdout.includes(prompt)) {
          typed = true;
          child.stdin.write(input);
        }
      });
      child.stdin.on('error', () => {});
      child.on('close', (code) => resolve({ stdout, stderr: '', code: code ?? 1 }));
    });
  }
}

function quote(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
