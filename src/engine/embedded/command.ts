/**
 * Runs the host's own programs (apt-get, dpkg-deb, flock, iptables) without a shell.
 * Must never interpret what a program printed as a command.
 */
import { spawn } from 'node:child_process';

export interface CommandResult {
  readonly stdout: string;
  readonly stderr: string;
  /** Exit code; 128 + signal number when a signal ended it; 127 when it could not be started. */
  readonly code: number;
}

export interface CommandOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Written to the program's standard input, which is then closed. */
  readonly input?: string | Buffer;
}

/** A program of the host that failed; `result` has what it printed. */
export class CommandError extends Error {
  readonly code = 'COFFERDAM_COMMAND_FAILED';
  readonly result: CommandResult;

  constructor(argv: readonly string[], result: CommandResult) {
    const said = (result.stderr.trim() || result.stdout.trim()).split('\n').slice(-6).join('\n');
    super(`\`${argv.join(' ')}\` failed with exit code ${result.code}${said ? `: ${said}` : ''}`);
    this.name = 'CommandError';
    this.result = result;
  }
}

const signalNumbers: Partial<Record<NodeJS.Signals, number>> = { SIGINT: 2, SIGKILL: 9, SIGTERM: 15 };

/** Runs a program to its end and collects what it printed. Never rejects: a failed start is exit code 127. */
export function runCommand(
  file: string,
  argv: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  return new Promise((resolve) => {
    const child = spawn(file, argv, {
      cwd: options.cwd,
      env: options.env ?? process.env,
      stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout?.on('data', (chunk: Buffer) => stdout.push(chunk));
    child.stderr?.on('data', (chunk: Buffer) => stderr.push(chunk));
    // A program may end without reading all of its input; its exit code tells the story then.
    child.stdin?.on('error', () => {});
    child.stdin?.end(options.input);
    child.on('error', (problem) => resolve({ stdout: '', stderr: problem.message, code: 127 }));
    child.on('close', (code, signal) =>
      resolve({
        stdout: Buffer.concat(stdout).toString(),
        stderr: Buffer.concat(stderr).toString(),
        code: code ?? 128 + ((signal && signalNumbers[signal]) ?? 0),
      }),
    );
  });
}

/** Like {@link runCommand}, but a failure throws {@link CommandError}. Returns the standard output. */
export async function mustRun(
  file: string,
  argv: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  const result = await runCommand(file, argv, options);
  if (result.code !== 0) throw new CommandError([file, ...argv], result);
  return result.stdout;
}
