/**
 * What an attack could have changed: the engine's objects, and places of the host that nobody but root may touch.
 * Compared before and after each attack.
 */
import { existsSync, lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { EngineClient } from '../../src/engine/client.js';
import type { Stage } from './stage.js';

const named = z.array(
  z.looseObject({ Id: z.string().optional(), ID: z.string().optional(), Name: z.string().optional() }),
);
const volumes = z.object({ Volumes: z.array(z.object({ Name: z.string() })).nullish() });
const images = z.array(z.object({ Id: z.string(), RepoTags: z.array(z.string()).nullish() }));
const containers = z.array(z.object({ Id: z.string(), Names: z.array(z.string()), State: z.string() }));

export interface World {
  readonly containers: ReadonlyMap<string, string>;
  readonly volumes: readonly string[];
  readonly networks: readonly string[];
  readonly images: readonly string[];
  readonly host: readonly string[];
}

export class Observer {
  readonly client: EngineClient;
  readonly #stage: Stage;

  constructor(stage: Stage) {
    this.#stage = stage;
    this.client = new EngineClient(stage.engine.socket);
  }

  /** Everything that matters, as it is now. */
  async look(): Promise<World> {
    const [found, volumeList, networkList, imageList] = await Promise.all([
      this.client.get('/containers/json', containers, { query: { all: '1' } }),
      this.client.get('/volumes', volumes),
      this.client.get('/networks', named),
      this.client.get('/images/json', images),
    ]);
    return {
      containers: new Map(found.map(({ Id, Names, State }) => [Id, `${Names.join()} ${State}`])),
      volumes: (volumeList.Volumes ?? []).map(({ Name }) => Name).sort(),
      networks: networkList.map(({ Id, Name }) => `${Name} ${Id}`).sort(),
      images: imageList.map(({ Id, RepoTags }) => `${Id} ${(RepoTags ?? []).toSorted().join()}`).sort(),
      host: this.#host(),
    };
  }

  /** Files that only root may make or change, and what is in them. */
  #host(): readonly string[] {
    const { rootOnly, shared, bobHome, state } = this.#stage.names;
    const folders = ['/etc', '/etc/cron.d', '/root', rootOnly, shared, bobHome, `${state}/bin`];
    return folders
      .filter((folder) => folder !== undefined)
      .filter((folder) => existsSync(folder))
      .flatMap((folder) => readdirSync(folder).map((name) => describeFile(join(folder, name))));
  }

  /** Removes what an attack left, so that the next one meets the same engine. */
  async restore(before: World): Promise<void> {
    const now = await this.look();
    for (const id of now.containers.keys()) {
      if (!before.containers.has(id))
        await this.client.run('DELETE', `/containers/${id}`, { query: { force: '1', v: '1' } });
    }
    for (const name of now.volumes) {
      if (!before.volumes.includes(name))
        await this.client.run('DELETE', `/volumes/${name}`, { query: { force: '1' } });
    }
    for (const network of now.networks) {
      if (before.networks.includes(network)) continue;
      await this.client.run('DELETE', `/networks/${network.split(' ')[1]}`);
    }
    for (const image of now.images.filter((entry) => !before.images.includes(entry))) {
      const tags = image.split(' ')[1]?.split(',') ?? [];
      const old = before.images.join();
      for (const tag of tags.filter((name) => name !== '' && !old.includes(name))) {
        await this.client.run('DELETE', `/images/${tag}`, { query: { noprune: '1' } });
      }
    }
  }

  close(): Promise<void> {
    return this.client.close();
  }
}

/**
 * Files in the caller's home that are more than the caller could have made: another user's of the host, devices.
 * Ids of containers' users lie far above those of people.
 */
export function strayFiles(folder: string, uid: number): readonly string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    const status = lstatSync(path);
    const below = status.isDirectory() ? strayFiles(path, uid) : [];
    const own = status.uid === uid || status.uid >= 100_000;
    const device = status.isBlockDevice() || status.isCharacterDevice();
    // Links and sockets that the stage itself put there are root's.
    return [...below, ...(device || (!own && status.isFile()) ? [describeFile(path)] : [])];
  });
}

function describeFile(path: string): string {
  const status = lstatSync(path);
  const content = status.isFile() && status.size < 65_536 ? readFileSync(path, 'latin1').length : 0;
  return `${path} ${status.mode.toString(8)} ${status.uid}:${status.gid} ${content}`;
}
