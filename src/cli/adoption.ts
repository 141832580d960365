/**
 * The steps of an adoption, in an order in which a crash at any moment loses nothing. The isolated container is made
 * beside the old one, under a name of its own, and takes the old one's place once it is complete; the old one is
 * removed last. Asked again, an adoption that broke off is finished, or begun anew where nothing has run yet.
 */
import { z } from 'zod';
import type { EngineClient } from '../engine/client.js';
import { messageSchema } from '../engine/client-answers.js';
import { isolatingRuntime } from '../rules/runtime.js';
import { type Adoptable, adoptableSchema, adoptionRequest } from './adoption-request.js';

/** Why a container can't be adopted; it is as it was. */
export class AdoptionRefused extends Error {
  readonly code = 'COFFERDAM_ADOPTION_REFUSED';
}

const created = z.object({ Id: z.string() });

/** Where the files of adopted containers go: the tag tells which container's they are. */
const repository = 'cofferdam/adopted';

function tagOf({ Id }: Adoptable): string {
  return Id.slice(0, 12);
}

export class Adoption {
  readonly #engine: EngineClient;
  readonly #cofferdam: EngineClient;

  /**
   * @param engine the engine's own socket: containers that aren't isolated are its affair
   * @param cofferdam our socket: what is made anew is judged like anything else
   */
  constructor(engine: EngineClient, cofferdam: EngineClient) {
    this.#engine = engine;
    this.#cofferdam = cofferdam;
  }

  /**
   * Makes a container isolated.
   * @param name of a container that is there, or that an earlier adoption was at work on
   * @returns the full id of the isolated container
   * @throws AdoptionRefused when it can't be like the old one, which is then as it was; EngineError
   */
  async adopt(name: string): Promise<string> {
    const found = await this.#find(name);
    const own = found === undefined ? name : nameOf(found);
    const finished = await this.#finishEarlier(own);
    if (finished !== undefined) return finished;
    const container = found ?? (await this.#find(own));
    if (container === undefined) throw new AdoptionRefused('there is no such container');
    refuseUnfit(container);
    const path = `/containers/${container.Id}`;
    let image: string | undefined;
    let made: string | undefined;
    try {
      if (container.State.Running) await this.#engine.run('POST', `${path}/stop`);
      image = await this.#commit(container);
      made = await this.#makeBeside(container, image);
      if (container.State.Running) await this.#begin(made);
    } catch (error) {
      if (made !== undefined) await this.#engine.call('DELETE', `/containers/${made}`);
      if (image !== undefined) await this.#engine.call('DELETE', `/images/${encodeURIComponent(image)}`);
      if (container.State.Running) await this.#engine.run('POST', `${path}/start`);
      throw error;
    }
    await this.#takePlace(nameOf(container), container.Id, made);
    return made;
  }

  /** Finishes what an earlier adoption left half done; undefined when there is everything still to do. */
  async #finishEarlier(name: string): Promise<string | undefined> {
    const [now, coming, aside] = await Promise.all(
      [name, comingName(name), asideName(name)].map((one) => this.#named(one)),
    );
    const old = aside ?? now;
    if (old === undefined || isIsolated(old)) return undefined;
    if (coming !== undefined && (await this.#comesFrom(coming, old))) {
      if (old === aside || hasRun(coming)) {
        await this.#takePlace(name, old.Id, coming.Id);
        return coming.Id;
      }
      // It has never run: all that it has is in the old one as well.
      await this.#engine.run('DELETE', `/containers/${coming.Id}`);
      return undefined;
    }
    if (now === undefined || old === now || !(await this.#comesFrom(now, old))) return undefined;
    await this.#engine.run('DELETE', `/containers/${old.Id}`);
    return now.Id;
  }

  /** Whether an adoption made the container from the old one. */
  async #comesFrom(container: Adoptable, old: Adoptable): Promise<boolean> {
    const image = await this.#engine.inspectImage(`${repository}:${tagOf(old)}`);
    return isIsolated(container) && image !== undefined && image.Id === container.Image;
  }

  /** A container by its name or id. */
  async #find(reference: string): Promise<Adoptable | undefined> {
    const path = `/containers/${encodeURIComponent(reference)}/json`;
    const { status, text } = await this.#engine.call('GET', path);
    return status === 200 ? adoptableSchema.parse(JSON.parse(text)) : undefined;
  }

  /** A container by exactly this name. */
  async #named(name: string): Promise<Adoptable | undefined> {
    const found = await this.#find(name);
    return found !== undefined && nameOf(found) === name ? found : undefined;
  }

  async #commit(container: Adoptable): Promise<string> {
    const query = { container: container.Id, repo: repository, tag: tagOf(container) };
    return (await this.#engine.post('/commit', created, { query })).Id;
  }

  /** Makes the isolated container, complete but not started. */
  async #makeBeside(container: Adoptable, image: string): Promise<string> {
    const { body, connections } = adoptionRequest(container, image);
    const query = { name: comingName(nameOf(container)) };
    const text = await this.#ask('/containers/create', { query, body });
    const { Id } = created.parse(JSON.parse(text));
    try {
      for (const { network, endpoint } of connections) {
        const connection = { Container: Id, EndpointConfig: endpoint };
        await this.#ask(`/networks/${encodeURIComponent(network)}/connect`, { body: connection });
      }
      return Id;
    } catch (error) {
      await this.#engine.call('DELETE', `/containers/${Id}`);
      throw error;
    }
  }

  async #begin(id: string): Promise<void> {
    await this.#ask(`/containers/${id}/start`, {});
  }

  /** The names change hands, and the old container goes. */
  async #takePlace(name: string, old: string, isolated: string): Promise<void> {
    await this.#rename(old, asideName(name));
    await this.#rename(isolated, name);
    await this.#engine.run('DELETE', `/containers/${old}`);
  }

  /** Having the name already is an earlier adoption's doing. */
  async #rename(id: string, name: string): Promise<void> {
    const { Name } = await this.#engine.get(`/containers/${id}/json`, z.object({ Name: z.string() }));
    if (Name === `/${name}`) return;
    await this.#engine.run('POST', `/containers/${id}/rename`, { query: { name } });
  }

  /** A POST through cofferdam whose refusal is told in its own words. */
  async #ask(path: string, options: Parameters<EngineClient['call']>[2]): Promise<string> {
    const { status, text } = await this.#cofferdam.call('POST', path, options);
    if (status < 400) return text;
    const message = messageSchema.safeParse(JSON.parse(text));
    throw new AdoptionRefused(message.success ? message.data.message : `HTTP ${status}`);
  }
}

function refuseUnfit(container: Adoptable): void {
  if (isIsolated(container)) throw new AdoptionRefused('it is isolated already');
  if (container.HostConfig.AutoRemove) {
    throw new AdoptionRefused('it was made with --rm, and would be gone once it stops');
  }
}

function nameOf({ Name }: Adoptable): string {
  return Name.replace(/^\//, '');
}

function comingName(name: string): string {
  return `${name}-in-adoption`;
}

function asideName(name: string): string {
  return `${name}-before-adoption`;
}

function isIsolated({ HostConfig }: Adoptable): boolean {
  return HostConfig.Runtime === isolatingRuntime;
}

/** The engine's zero time is year 1. */
function hasRun({ State }: Adoptable): boolean {
  return !State.StartedAt.startsWith('0001-');
}
