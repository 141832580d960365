/** Finds and removes what an engine of a test can leave behind: processes and mounts below its folder. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { runCommand } from '../../src/engine/embedded/command.js';
import { signalProcess } from '../../src/engine/embedded/process-id.js';

interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly commandLine: string;
}

/** Mount points below a folder, deepest first. */
export function mountsBelow(folder: string): string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .map((path) =>
      path.replaceAll(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8))),
    )
    .filter((path) => path === folder || path.startsWith(`${folder}/`))
    .reverse();
}

/** Processes that name a folder in their arguments or run a program in it, with all their descendants. */
export function processesOf(folder: string): number[] {
  const all = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => readProcess(Number(name)));
  const found = new Set(all.filter(({ commandLine }) => commandLine.includes(folder)).map(({ pid }) => pid));
  for (let before = -1; before !== found.size; ) {
    before = found.size;
    for (const { pid, parent } of all) if (found.has(parent)) found.add(pid);
  }
  found.delete(process.pid);
  return [...found];
}

function readProcess(pid: number): Process[] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (state === 'Z') return [];
    const commandLine = `${readlinkSync(`/proc/${pid}/exe`)} ${readFileSync(`/proc/${pid}/cmdline`, 'utf8')}`;
    return [{ pid, parent: Number(parent), commandLine }];
  } catch {
    // It ended while it was looked at, or it is a kernel thread, which has no program.
    return [];
  }
}

/** Kills the processes of a folder and waits until they are gone. */
export async function killProcessesOf(folder: string): Promise<void> {
  for (;;) {
    const left = processesOf(folder);
    if (left.length === 0) return;
    for (const pid of left) signalProcess(pid, 'SIGKILL');
    await sleep(20);
  }
}

/** Unmounts everything below a folder. */
export async function unmountBelow(folder: string): Promise<void> {
  for (const path of mountsBelow(folder)) await runCommand('umount', ['--lazy', path]);
}
