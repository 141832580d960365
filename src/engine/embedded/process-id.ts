/**
 * Facts about processes by their id, from /proc (proc(5)). Must never signal a process that it was not asked for:
 * ids are used again, so a caller that kept one for long compares the program's name too.
 */
import { readFileSync } from 'node:fs';

/** Whether a process with this id and program name (as in /proc/PID/comm, 15 bytes) runs and is no zombie. */
export function isRunning(pid: number, program: string): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const end = stat.lastIndexOf(')');
    return stat.slice(stat.indexOf('(') + 1, end) === program.slice(0, 15) && stat[end + 2] !== 'Z';
  } catch {
    return false;
  }
}

/** The arguments that a process was started with; none when it is gone. */
export function commandLine(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1);
  } catch {
    return [];
  }
}

/** The environment that a process was started with, as NAME=value; none when it is gone. */
export function environmentOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').slice(0, -1);
  } catch {
    return [];
  }
}

/** The systemd service that a process belongs to, for example docker.service (cgroups(7)). */
export function unitOf(pid: number): string | undefined {
  try {
    return /^(?:0:|\d+:name=systemd):\/(?:[^\n]*\/)?([^/\n]+\.service)$/m.exec(
      readFileSync(`/proc/${pid}/cgroup`, 'utf8'),
    )?.[1];
  } catch {
    return undefined;
  }
}

/** Sends a signal; a process that is already gone is no error. */
export function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (problem) {
    if (!(problem instanceof Error && 'code' in problem && problem.code === 'ESRCH')) throw problem;
  }
}
