/**
 * Asks the daemon over its control socket. Used by the command line, so it loads little.
 */
import { z } from 'zod';
import { requestOverSocket } from '../system/unix-http.js';
import { controlPath } from './path.js';
import { type Status, statusSchema } from './status.js';

/** The daemon can't be asked: it isn't running, or this account may not. */
export class DaemonUnreachable extends Error {
  readonly code = 'COFFERDAM_DAEMON_UNREACHABLE';

  constructor(path: string, cause: NodeJS.ErrnoException) {
    const reason =
      cause.code === 'EACCES'
        ? `this account may not use ${path}: be root, or in the group of the Docker socket`
        : `the daemon is not running (nobody answers at ${path})`;
    super(reason, { cause });
    this.name = 'DaemonUnreachable';
  }
}

interface Reply {
  readonly status: number;
  readonly text: string;
}

/** Sends one request and reads the whole answer. Throws DaemonUnreachable. */
export async function askDaemon(
  runDir: string,
  method: 'GET' | 'POST',
  path: string,
  body?: object,
): Promise<Reply> {
  const socketPath = controlPath(runDir);
  try {
    const answer = await requestOverSocket(socketPath, {
      method,
      path,
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    return { status: answer.status, text: answer.body.toString() };
  } catch (error) {
    if (error instanceof Error) throw new DaemonUnreachable(socketPath, error);
    throw error;
  }
}

/** The daemon's state. Throws DaemonUnreachable, or an Error when it can't tell. */
export async function askStatus(runDir: string): Promise<Status> {
  const { status, text } = await askDaemon(runDir, 'GET', '/status');
  if (status !== 200) throw new Error(messageOf(text));
  return statusSchema.parse(JSON.parse(text));
}

/** The `message` of an answer. */
export function messageOf(text: string): string {
  const parsed = z.object({ message: z.string() }).safeParse(JSON.parse(text));
  return parsed.success ? parsed.data.message : text;
}
