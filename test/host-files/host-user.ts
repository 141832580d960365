/** An ordinary user of the host with nothing but the socket: a uid, a home folder, and the docker command line. */
import { chmodSync, chownSync, copyFileSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type CommandResult, runCommand } from '../../src/engine/embedded/command.js';
import type { DockerCli } from '../support/docker-cli.js';

export interface HostUserOptions {
  readonly uid: number;
  readonly groups?: readonly number[];
  /** Folder that holds the users' homes; everybody may search it. */
  readonly homes: string;
}

export class HostUser {
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
  readonly #groups: readonly number[];

  /** Makes the user's home folder, mode 0700. */
  constructor({ uid, groups = [], homes }: HostUserOptions) {
    this.uid = uid;
    this.gid = uid;
    this.#groups = groups;
    this.home = join(homes, `user-${uid}`);
    mkdirSync(this.home, { mode: 0o700 });
    chownSync(this.home, uid, uid);
  }

  /** Runs a program of the host as this user. */
  run(program: string, argv: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<CommandResult> {
    const groups = this.#groups.length === 0 ? ['--clear-groups'] : ['--groups', this.#groups.join(',')];
    const identity = ['--reuid', String(this.uid), '--regid', String(this.gid), ...groups];
    return runCommand('setpriv', [...identity, program, ...argv], {
      cwd: this.home,
      env: { ...process.env, HOME: this.home, ...environment },
    });
  }

  /** Runs a shell script of the host as this user. */
  shell(script: string): Promise<CommandResult> {
    return this.run('sh', ['-c', script]);
  }

  /** Runs `docker …` as this user, by the socket of `cli`. */
  docker(cli: DockerCli, ...argv: string[]): Promise<CommandResult> {
    const config = join(this.home, '.docker');
    mkdirSync(config, { recursive: true });
    copyFileSync(join(cli.configFolder, 'config.json'), join(config, 'config.json'));
    chmodSync(join(config, 'config.json'), 0o644);
    chmodSync(config, 0o755);
    // The command line's plugins lie where only the tests' own user can read them: builds go without BuildKit.
    const environment = { DOCKER_HOST: `unix://${cli.socket}`, DOCKER_CONFIG: config, DOCKER_BUILDKIT: '0' };
    return this.run('docker', argv, environment);
  }

  /** Runs `docker …` to its end and returns its trimmed output; throws when it fails. */
  async must(cli: DockerCli, ...argv: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.docker(cli, ...argv);
    if (code === 0) return stdout.trim();
    throw new Error(`docker ${argv.join(' ')} as ${this.uid}: exit code ${code}: ${stderr || stdout}`);
  }

  remove(): void {
    rmSync(this.home, { recursive: true, force: true });
  }
}
