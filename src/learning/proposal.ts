/**
 * The smallest settings under which everything that an audit log shows would have worked: a proposal for an
 * administrator to read, never more than that. Pure.
 */
import { parseReference, type Reference } from '../registry/reference.js';
import { commandCovers, commandNames, openRoutes } from '../rules/command-routes.js';
import type { ObservedRequest } from './observations.js';

interface RegistryUse {
  readonly repositories: Set<string>;
  readonly actions: Set<'pull' | 'push'>;
}

const actionOf: Readonly<Record<string, 'pull' | 'push'>> = { 'image.pull': 'pull', 'image.push': 'push' };

function reference(image: string): Reference | undefined {
  try {
    return parseReference(image);
  } catch {
    return undefined;
  }
}

/** The narrowest command that covers an endpoint: commands stand before groups in the list of names. */
function commandFor(route: string): string | undefined {
  return commandNames.find((name) => commandCovers(name, { route, imports: false }));
}

export class Proposal {
  readonly #registries = new Map<string, RegistryUse>();
  readonly #socketImages = new Set<string>();
  /** Endpoints that containers used over their socket, by their image. */
  readonly #routes = new Map<string, Set<string>>();
  #loads = false;

  /** Takes one request into account. */
  add({ line, callerImage, wantsSocket }: ObservedRequest): void {
    const route = line.route ?? '';
    const action = actionOf[route];
    if (action !== undefined && line.image !== undefined) this.#addRegistry(line.image, action);
    if (wantsSocket && line.image !== undefined) this.#socketImages.add(line.image);
    if (callerImage !== undefined && !openRoutes.has(route)) {
      this.#socketImages.add(callerImage);
      const routes = this.#routes.get(callerImage) ?? new Set();
      this.#routes.set(callerImage, routes.add(route));
    }
    if (route === 'image.load' || (route === 'image.pull' && line.image === undefined)) this.#loads = true;
  }

  /** The proposed settings file. */
  settings(): object {
    const images = [...this.#socketImages].sort();
    return {
      configurationFileVersion: 2,
      enhancedContainerIsolation: {
        value: true,
        locked: true,
        dockerSocketMount: {
          imageList: { images, allowDerivedImages: false },
          commandList: { type: 'allow', commands: [] },
          perImage: images.map((image) => ({ image, commandList: this.#commands(image) })),
        },
      },
      registryAccess: { value: true, locked: true, registries: this.#registryEntries() },
      blockDockerLoad: { value: !this.#loads, locked: true },
    };
  }

  #addRegistry(image: string, action: 'pull' | 'push'): void {
    const named = reference(image);
    if (named === undefined) return;
    const use = this.#registries.get(named.domain) ?? { repositories: new Set(), actions: new Set() };
    use.repositories.add(named.path);
    use.actions.add(action);
    this.#registries.set(named.domain, use);
  }

  #registryEntries(): object[] {
    return [...this.#registries.entries()]
      .sort(([left], [right]) => left.localeCompare(right))
      .map(([address, { repositories, actions }]) => ({
        address,
        repositories: [...repositories].sort(),
        allow: [...actions].sort(),
      }));
  }

  #commands(image: string): object {
    const commands = [...(this.#routes.get(image) ?? [])].flatMap((route) => commandFor(route) ?? []);
    return { type: 'allow', commands: [...new Set(commands)].sort() };
  }
}
