/**
 * The words that the launcher and the daemon exchange over FIFOs, in one place for both sides:
 *
 *     launcher → requests   prepare SLOT PID VERB SYSTEMD LOG-FORMAT ID␟LOG␟BUNDLE␟PID-FILE
 *     launcher → requests   streams SLOT PID BASE   (an exec's pipes are to be the container's)
 *     daemon → slot         PID ok | PID elsewhere | PID failed WORDS
 *     launcher → requests   done SLOT PID
 *     launcher → requests   ended ID            (a container is being deleted; nobody waits for anything)
 *
 * A line is at most PIPE_BUF (4096 bytes) long, so that the kernel never mixes two of them.
 */
import { z } from 'zod';
import { containerIdPattern } from './arguments.js';

/** How many launchers may wait for the daemon at once; one more goes on with a one-shot process. */
export const replySlots = 32;

/** Where a waiting launcher has its container's standard input, output and error. */
export const launcherStreams = [4, 5, 6] as const;

/** ASCII unit separator: stands between fields that may hold blanks. */
export const separator = '\u001f';

/** Who waits, and for which pipe. */
const waiter = {
  slot: z.coerce
    .number()
    .int()
    .min(0)
    .max(replySlots - 1),
  pid: z.coerce.number().int().positive(),
};

const requestSchema = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('prepare'),
    ...waiter,
    verb: z.enum(['create', 'run']),
    systemdCgroup: z.enum(['yes', 'no']).transform((word) => word === 'yes'),
    logFormat: z.enum(['json', 'text']),
    id: z.string().regex(containerIdPattern),
    log: z.string(),
    bundle: z.string().startsWith('/'),
    pidFile: z.string(),
  }),
  z.object({ kind: z.literal('streams'), ...waiter, base: z.coerce.number().int().positive() }),
  z.object({ kind: z.literal('done'), ...waiter }),
  z.object({ kind: z.literal('ended'), id: z.string().regex(containerIdPattern) }),
]);
export type LauncherRequest = z.infer<typeof requestSchema>;

/** Parses a launcher's line. @returns undefined for a line that no launcher writes */
export function parseLauncherLine(line: string): LauncherRequest | undefined {
  const [words = '', log, bundle, pidFile] = line.split(separator);
  if (words.startsWith('ended ')) {
    const ended = requestSchema.safeParse({ kind: 'ended', id: words.slice('ended '.length) });
    return ended.success ? ended.data : undefined;
  }
  const [kind, slot, pid, ...rest] = words.split(' ');
  const [verb, systemdCgroup, logFormat, id] = rest;
  const parsed = requestSchema.safeParse({
    ...{ kind, slot, pid },
    ...(kind === 'streams'
      ? { base: rest[0] }
      : { verb, systemdCgroup, logFormat, id, log, bundle, pidFile }),
  });
  return parsed.success ? parsed.data : undefined;
}

/** The daemon's answer: one line, whatever the words hold, and short enough to be written at once. */
export function replyLine(pid: number, verdict: 'ok' | 'elsewhere' | 'failed', words = ''): string {
  const line = words === '' ? `${pid} ${verdict}` : `${pid} ${verdict} ${words.replace(/[\r\n]+/g, ' ')}`;
  return `${line.slice(0, 1000)}\n`;
}
