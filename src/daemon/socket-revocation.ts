/**
 * Takes the Docker socket from containers whose image the settings don't allow any more, and ends what their command
 * list doesn't allow any more: each new request of theirs is refused by the rules, and what is under way (attached
 * streams, events, builds) is ended here. It must never wait for a request to come, nor leave a connection open
 * because it couldn't tell.
 */
import type { Logger } from 'pino';
import type { Audit } from '../audit/sink.js';
import type { SocketImageFacts } from '../engine/fact-types.js';
import { mustEnd } from '../rules/command-lists.js';
import type { JudgedRequest } from '../rules/rule.js';
import type { Settings } from '../settings/schema.js';
import type { SettingsHolder } from '../settings/watch.js';
import type { ContainerRecord } from '../uid-allocator/record.js';

export interface RevocationPlace {
  readonly settings: Pick<SettingsHolder, 'current' | 'generation' | 'onChange'>;
  readonly records: () => readonly ContainerRecord[];
  /** What the settings say of the image of a container; undefined when there is no such container or image. */
  readonly imageOf: (containerId: string, settings: Settings) => Promise<SocketImageFacts | undefined>;
  /** Ends connections of a container: every one, or those whose request is meant. */
  readonly disconnect: (containerId: string, which?: (asked: JudgedRequest) => boolean) => void;
  readonly audit: Pick<Audit, 'record'>;
  readonly log: Pick<Logger, 'error'>;
}

export class SocketRevocation {
  readonly #place: RevocationPlace;
  readonly #forgetSettings: () => void;
  readonly #revoked = new Set<string>();

  /** Begins to look at each change of the settings. */
  constructor(place: RevocationPlace) {
    this.#place = place;
    this.#forgetSettings = place.settings.onChange(() => {
      this.#look().catch((error: unknown) =>
        place.log.error({ err: error }, 'who holds a Docker socket is not known'),
      );
    });
  }

  close(): void {
    this.#forgetSettings();
  }

  async #look(): Promise<void> {
    const { records, disconnect, log } = this.#place;
    for (const { id, socketGrant } of records()) {
      if (!socketGrant) continue;
      try {
        await this.#lookAt(id);
      } catch (error) {
        // New requests are judged on their own, once it is known.
        disconnect(id);
        log.error(
          { err: error, container: id },
          'whether a container may keep its Docker socket is not known: its connections are ended',
        );
      }
    }
  }

  async #lookAt(id: string): Promise<void> {
    const { imageOf, settings, disconnect } = this.#place;
    const image = await imageOf(id, settings.current);
    if (image?.allowed !== true) return this.#revoke(id);
    this.#revoked.delete(id);
    disconnect(id, (asked) => mustEnd({ ...asked, settings: settings.current }, image));
  }

  #revoke(id: string): void {
    const { disconnect, audit, settings } = this.#place;
    disconnect(id);
    if (this.#revoked.has(id)) return;
    this.#revoked.add(id);
    audit.record({ event: 'socket.revoked', generation: settings.generation, objects: [id] });
  }
}
