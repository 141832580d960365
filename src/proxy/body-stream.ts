/**
 * A request's body as a stream of its content, for what we serve ourselves. Whoever doesn't read stops the client.
 */
import { Readable } from 'node:stream';
import type { Exchange } from './exchange.js';
import { bodyFraming } from './request-body.js';

export class BodyStream extends Readable {
  readonly #exchange: Exchange;
  #started = false;

  constructor(exchange: Exchange) {
    super();
    this.#exchange = exchange;
  }

  override _read(): void {
    if (this.#started) {
      this.#exchange.body.resume();
      return;
    }
    this.#started = true;
    const { head, body, connection } = this.#exchange;
    if (head?.expectsContinue === true && !body.finished)
      connection.socket.write('HTTP/1.1 100 Continue\r\n\r\n');
    const framing = bodyFraming(body.kind, body.announced);
    body.streamTo({
      write: (bytes) => {
        const content: Buffer[] = [];
        framing.advance(bytes, 0, content);
        return content.filter((part) => part.length > 0).reduce((_taken, part) => this.push(part), true);
      },
      end: () => void this.push(null),
      failed: (error) => void this.destroy(error),
    });
  }
}
