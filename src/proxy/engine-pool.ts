/**
 * Connections to the engine that are kept for the next request. The one used last is given out first, so that under
 * light load the others grow old and are closed. It must never give out a connection on which anything is unfinished.
 */
import { EngineConnection, type EngineConnectionOwner } from './engine-connection.js';

/** How many idle connections are kept, and for how long, in milliseconds. */
const idleLimit = 128;
const idleMilliseconds = 60_000;

export class EnginePool implements EngineConnectionOwner {
  readonly #path: string;
  readonly #idle: EngineConnection[] = [];
  readonly #open = new Set<EngineConnection>();
  readonly #sweeper: NodeJS.Timeout;
  #fewestIdle = 0;

  /** @param path the engine's unix socket */
  constructor(path: string) {
    this.#path = path;
    this.#sweeper = setInterval(() => this.#closeUnused(), idleMilliseconds);
    this.#sweeper.unref();
  }

  /** A connection for an ordinary request; a connection error is told to the request's receiver. */
  acquire(): EngineConnection {
    for (let kept = this.#idle.pop(); kept !== undefined; kept = this.#idle.pop()) {
      this.#fewestIdle = Math.min(this.#fewestIdle, this.#idle.length);
      if (kept.usable) return kept;
    }
    return this.#connect(false);
  }

  /** A connection for one request only: one that may turn it into a tunnel, or that is asked for a second time. */
  fresh(): EngineConnection {
    return this.#connect(true);
  }

  #connect(once: boolean): EngineConnection {
    const connection = new EngineConnection(this.#path, this, { once });
    this.#open.add(connection);
    return connection;
  }

  idle(connection: EngineConnection): void {
    if (this.#idle.length >= idleLimit) connection.abandon();
    else this.#idle.push(connection);
  }

  closed(connection: EngineConnection): void {
    this.#open.delete(connection);
    const at = this.#idle.indexOf(connection);
    if (at !== -1) this.#idle.splice(at, 1);
  }

  /** Ends every connection at once. */
  close(): void {
    clearInterval(this.#sweeper);
    for (const connection of this.#open) connection.abandon();
  }

  /** Closes the connections that nobody needed since the last sweep. */
  #closeUnused(): void {
    for (const connection of this.#idle.splice(0, this.#fewestIdle)) connection.abandon();
    this.#fewestIdle = this.#idle.length;
  }
}
