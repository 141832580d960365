/**
 * A row of the transparency table, and the command lines that rows are made of.
 */

export interface VerbRow {
  readonly name: string;
  readonly steps: readonly (readonly string[])[];
  /** What a step reads from standard input, by its place. */
  readonly input?: Readonly<Record<number, string>>;
  /**
   * Oldest engine that has it. `--privileged` of 20.10 asks for every capability that the kernel knows, and plain
   * runc fails with it on a host that was started without one of them: there is nothing to compare with then.
   */
  readonly since?: '26.1' | '28.5';
}

export const none = ['--network', 'none'];
export const inside = (...argv: string[]): string[] => ['run', '--rm', ...none, 'busybox', ...argv];
export const script = (text: string, ...options: string[]): string[] => [
  'run',
  '--rm',
  ...none,
  ...options,
  'busybox',
  'sh',
  '-c',
  text,
];
export const background = (...options: string[]): string[] => [
  'run',
  '--detach',
  '--name',
  'NAME',
  ...none,
  ...options,
  'busybox',
  'sleep',
  '1000',
];
export const exec = (text: string, ...options: string[]): string[] => [
  'exec',
  ...options,
  'NAME',
  'sh',
  '-c',
  text,
];
export const remove = ['rm', '--force', '--volumes', 'NAME'];
export const owners = "stat -c '%n %u:%g %a %F'";
