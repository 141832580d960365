/**
 * Tells a process from a later one with the same pid, so that what a dead process left behind can be tidied and
 * what a living one is at work on is never touched. Reads /proc only.
 */
import { readFileSync } from 'node:fs';
import { isAlive as isRunning, processIdentity } from '../system/process-identity.js';
import type { ProcessIdentity } from './record.js';

let bootId: string | undefined;

/** The kernel's id of this boot (random(4)): start times count from the boot, so they repeat after the next one. */
function currentBoot(): string {
  bootId ??= readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
  return bootId;
}

/** @returns undefined when there is no such process (any more) */
export function identifyProcess(pid: number): ProcessIdentity | undefined {
  const identity = processIdentity(pid);
  return identity && { ...identity, boot: currentBoot() };
}

/** True while the process can still act: a zombie has ended, only its exit status is left. */
export function isAlive(process: ProcessIdentity): boolean {
  return process.boot === currentBoot() && isRunning(process);
}

/** When this boot began, in milliseconds since the epoch, to the second (proc(5), `btime`). */
export function bootTime(): number {
  const seconds = /^btime (\d+)$/m.exec(readFileSync('/proc/stat', 'latin1'))?.[1];
  return Number(seconds ?? 0) * 1000;
}
