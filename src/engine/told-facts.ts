/** The facts that one request asked for: each is found out once, however many of its rules need it. */
import type { Found } from './fact-memory.js';
import type {
  ContainerFacts,
  Facts,
  ImageFacts,
  NetworkFacts,
  PathFacts,
  ServiceFacts,
  SocketImageFacts,
  VolumeFacts,
} from './fact-types.js';

/** The answers of one kind that one request got. */
class Answers<Value> {
  readonly #asked = new Map<string, Promise<void> | undefined>();
  readonly #found = new Map<string, Value>();

  /**
   * Finds something out, once for each key.
   * @param idOf its full id: a request that was changed to name the object by it finds it under that, too
   * @returns undefined when it is known at once
   */
  once(key: string, find: () => Found<Value>, idOf?: (value: Value) => string): Promise<void> | undefined {
    if (this.#asked.has(key)) return this.#asked.get(key);
    const note = (value: Value | undefined): void => {
      if (value === undefined) return;
      this.#found.set(key, value);
      if (idOf !== undefined) this.#found.set(idOf(value), value);
    };
    const found = find();
    const asked = found instanceof Promise ? found.then(note) : note(found);
    this.#asked.set(key, asked ?? undefined);
    return asked ?? undefined;
  }

  get(key: string): Value | undefined {
    return this.#found.get(key);
  }
}

/** What a request was told. */
export class ToldFacts implements Facts {
  readonly containers = new Answers<ContainerFacts>();
  readonly images = new Answers<ImageFacts>();
  readonly volumes = new Answers<VolumeFacts>();
  readonly networks = new Answers<NetworkFacts>();
  readonly execs = new Answers<{ readonly containerId: string }>();
  readonly services = new Answers<ServiceFacts>();
  readonly paths = new Answers<PathFacts>();
  readonly socketImages = new Answers<SocketImageFacts>();
  /** Whether each fact would be told again; absent once one was told of which that can't be said. */
  #checks: (() => boolean)[] | undefined = [];
  hostRoutes: readonly string[] = [];
  stoppedContainers?: readonly string[];
  inSwarm?: boolean;

  /** Notes how to see that a fact that was told still holds; without a check, it can't be seen. */
  restsOn(check?: () => boolean): void {
    if (check === undefined) this.#checks = undefined;
    else this.#checks?.push(check);
  }

  /** True when every fact would be told again as it was, without asking anybody. */
  get stillHold(): boolean {
    return this.#checks?.every((check) => check()) === true;
  }

  container(ref: string): ContainerFacts | undefined {
    return this.containers.get(ref);
  }

  image(ref: string): ImageFacts | undefined {
    return this.images.get(ref);
  }

  volume(name: string): VolumeFacts | undefined {
    return this.volumes.get(name);
  }

  network(ref: string): NetworkFacts | undefined {
    return this.networks.get(ref);
  }

  exec(id: string): { readonly containerId: string } | undefined {
    return this.execs.get(id);
  }

  service(ref: string): ServiceFacts | undefined {
    return this.services.get(ref);
  }

  path(path: string): PathFacts | undefined {
    return this.paths.get(path);
  }

  socketImage(ref: string): SocketImageFacts | undefined {
    return this.socketImages.get(ref);
  }
}
