/**
 * Takes the Docker socket from containers whose image the settings don't allow any more: each new request of theirs
 * is refused by the rules, and what is under way (attached streams, events, builds) is ended here. It must never wait
 * for a request to come.
 */
import type { Logger } from 'pino';
import type { Audit } from '../audit/sink.js';
import type { EngineClient } from '../engine/client.js';
import type { SettingsHolder } from '../settings/watch.js';
import type { ContainerRecord } from '../uid-allocator/record.js';
import type { ContainerSocket } from './container-socket.js';

export interface RevocationPlace {
  readonly settings: SettingsHolder;
  readonly records: () => readonly ContainerRecord[];
  readonly client: Pick<EngineClient, 'inspectContainer'>;
  readonly containerSocket: Pick<ContainerSocket, 'judge'>;
  /** Ends every connection of a container. */
  readonly disconnect: (containerId: string) => void;
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
    this.#forgetSettings = place.settings.onChange((_settings, changes) => {
      if (changes.some((line) => line.includes('dockerSocketMount'))) void this.#look();
    });
  }

  close(): void {
    this.#forgetSettings();
  }

  async #look(): Promise<void> {
    const { records, client, log } = this.#place;
    for (const { id, socketGrant } of records()) {
      if (!socketGrant) continue;
      try {
        const container = await client.inspectContainer(id);
        if (container === undefined) continue;
        if (await this.#isAllowed(container.Image)) this.#revoked.delete(id);
        else this.#revoke(id);
      } catch (error) {
        // The engine is away: nobody can use it either, and new requests are judged on their own.
        log.error(
          { err: error, container: id },
          'whether a container may keep its Docker socket is not known',
        );
      }
    }
  }

  async #isAllowed(imageId: string): Promise<boolean> {
    const { containerSocket, settings } = this.#place;
    return (await containerSocket.judge(imageId, settings.current))?.allowed === true;
  }

  #revoke(id: string): void {
    const { disconnect, audit, settings } = this.#place;
    disconnect(id);
    if (this.#revoked.has(id)) return;
    this.#revoked.add(id);
    audit.record({ event: 'socket.revoked', generation: settings.generation, objects: [id] });
  }
}
