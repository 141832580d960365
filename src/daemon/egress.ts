/**
 * The engine's way out, as the daemon has it: opened when the settings ask for it, judged by the settings of each
 * moment, with refusals in the log and the audit.
 */
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { Audit } from '../audit/sink.js';
import type { EngineClient } from '../engine/client.js';
import { usesProxy } from '../engine/registration.js';
import { isInnerAddress, isPrivateNetwork, parseBlock } from '../registry/address-blocks.js';
import type { AddressKind } from '../registry/egress/connector.js';
import { Egress } from '../registry/egress/egress.js';
import { parsePullReference, parsePushReference } from '../registry/reference.js';
import type { JudgedRequest } from '../rules/rule.js';
import type { SettingsHolder } from '../settings/watch.js';

export interface EgressPlace {
  readonly settings: SettingsHolder;
  readonly stateDir: string;
  readonly client: Pick<EngineClient, 'imageNames' | 'socketPath'>;
  readonly audit: Pick<Audit, 'record'>;
  readonly log: Pick<Logger, 'info' | 'warn' | 'error'>;
}

/** Addresses of this host, its link and everything that is nobody's server are `host`, IPv4 in IPv6 clothes as well. */
export function addressKind(address: string): AddressKind {
  if (!isInnerAddress(address)) return 'public';
  const block = parseBlock(address);
  return block !== undefined && isPrivateNetwork(block) ? 'private' : 'host';
}

/** Opens the way out while the settings want one. Once open it stays: an engine that was told of it has no other. */
export class EgressKeeper {
  readonly #place: EgressPlace;
  readonly #forgetSettings: () => void;
  #egress: Egress | undefined;
  #opening: Promise<void> | undefined;

  constructor(place: EgressPlace) {
    this.#place = place;
    this.#forgetSettings = place.settings.onChange(() => void this.open());
  }

  /** Never rejects: without a way out the engine reaches nothing, which the log says. */
  async open(): Promise<void> {
    const { settings, log } = this.#place;
    if (!settings.current.registryAccess.egress || this.#egress !== undefined) return;
    this.#opening ??= this.#start()
      .catch((error: unknown) => log.error({ err: error }, "the engine's way out could not be opened"))
      .finally(() => {
        this.#opening = undefined;
      });
    await this.#opening;
  }

  /** A request was allowed: what it pulls or pushes tells which images its registry can be asked about. */
  note(request: JudgedRequest, registryAuth: string | undefined): void {
    if (this.#egress === undefined) return;
    const tag = request.query.get('tag')?.[0] ?? '';
    const image = request.query.get('fromImage')?.[0] ?? '';
    try {
      if (request.route.name === 'image.pull' && image !== '') {
        this.#egress.note(parsePullReference(image, tag), registryAuth);
      } else if (request.route.name === 'image.push') {
        this.#egress.note(parsePushReference(request.params['name'] ?? '', tag), registryAuth);
      }
    } catch {
      // No reference: the engine refuses it in its own words.
    }
  }

  async close(): Promise<void> {
    this.#forgetSettings();
    await this.#opening;
    await this.#egress?.close();
  }

  async #start(): Promise<void> {
    const { settings, stateDir, client, audit, log } = this.#place;
    this.#egress = await Egress.start({
      port: settings.current.registryAccess.egressPort,
      settings,
      stateFile: join(stateDir, 'redirects.json'),
      imageNames: () => client.imageNames(),
      onRefused: (text) => {
        log.warn({ reason: text }, 'a connection of the engine was refused');
        audit.record({ event: 'egress.refused', generation: settings.generation, details: [text] });
      },
      connector: { kindOf: addressKind },
    });
    const { port } = this.#egress;
    // An engine that is away takes what its configuration says when it comes.
    const used = await usesProxy(client.socketPath, port).catch(() => true);
    if (used) log.info({ port }, "the engine's way out is open");
    else log.warn({ port }, 'the engine connects past cofferdam: `cofferdam setup`, then restart dockerd');
  }
}
