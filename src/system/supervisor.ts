/**
 * Tells systemd how the daemon is: ready, stopping, alive (sd_notify(3)). Without systemd everything here does nothing.
 */
import { DatagramSender } from './datagram.js';

/** The daemon's side of its supervision. */
export interface Supervision {
  /** The daemon serves; `status` is shown by `systemctl status`. Begins the watchdog, where one is set. */
  ready(status: string): void;
  stopping(): void;
  close(): void;
}

/** Supervision as the environment asks for it (NOTIFY_SOCKET, WATCHDOG_USEC). */
export function supervise(environment: NodeJS.ProcessEnv): Supervision {
  const path = environment['NOTIFY_SOCKET'];
  const watchdogMicroseconds = Number(environment['WATCHDOG_USEC'] ?? 0);
  let timer: NodeJS.Timeout | undefined;
  const sender = path ? new DatagramSender(path) : undefined;
  // A supervisor that went away must not end the daemon: a failed notification is left at that.
  const tell = (text: string) => sender?.send(text);
  return {
    ready: (status) => {
      tell(`READY=1\nSTATUS=${status}`);
      // Twice in the time, as sd_watchdog_enabled(3) recommends; an event loop that hangs sends nothing.
      if (path && watchdogMicroseconds > 0) {
        timer = setInterval(() => tell('WATCHDOG=1'), watchdogMicroseconds / 2000).unref();
      }
    },
    stopping: () => {
      tell('STOPPING=1');
    },
    close: () => {
      clearInterval(timer);
      sender?.close();
    },
  };
}
