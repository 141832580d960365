/**
 * What an audit log shows of the use of a host, as far as settings can speak of it: images pulled and pushed, images
 * that wanted the Docker socket, and the endpoints that containers used over theirs. Pure.
 */
import type { AuditLine } from '../audit/record.js';

type RequestLine = Extract<AuditLine, { event: 'request' }>;

/** A request of the log, with what the log tells about whoever made it. */
export interface ObservedRequest {
  readonly line: RequestLine;
  /** The image of the container whose socket it came through, where the log has seen it made. */
  readonly callerImage: string | undefined;
  /** True when it asked for the Docker socket in a container. */
  readonly wantsSocket: boolean;
}

/** The rule that grants and refuses sockets: its finding shows that one was asked for. */
const socketRule = 'socket-mounts';

/**
 * The requests of a log that were judged, in order. What was malformed, or failed before it was judged, says nothing
 * about settings.
 */
export class Observer {
  readonly #imageOf = new Map<string, string>();

  /** Takes the next line of the log. */
  observe(line: AuditLine): ObservedRequest | undefined {
    if (line.event !== 'request' || line.verdict === 'malformed' || line.route === undefined)
      return undefined;
    if (line.route === 'container.create' && line.image !== undefined) {
      for (const id of line.objects) this.#imageOf.set(id, line.image);
    }
    const container = line.caller?.container;
    return {
      line,
      callerImage: container === undefined ? undefined : this.#imageOf.get(container),
      wantsSocket: line.route === 'container.create' && line.rules.includes(socketRule),
    };
  }
}
