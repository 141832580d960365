/**
 * Turns at volumes: a request that makes a volume of a host folder never gets between another's look-up of that name
 * and what the engine then does with it as host root. Requests that only rely on a volume go side by side.
 * It must never let a turn end before the engine is done with the request, whatever became of its client.
 */
import type { JudgedRequest } from '../rules/rule.js';
import { type VolumeUses, volumeUses } from '../rules/volume-uses.js';

export interface Turn {
  /** Settled when it has come; absent when nothing is in the way. */
  readonly awaited: Promise<unknown> | undefined;
  end(): void;
}

interface Place {
  readonly uses: VolumeUses;
  readonly done: Promise<void>;
}

export class VolumeTurns {
  /** In the order in which they came: each waits for earlier ones only, so that none waits in a circle. */
  readonly #places = new Set<Place>();

  /** The request's turn; `undefined` for requests that have nothing to do with named volumes. */
  begin(request: JudgedRequest): Turn | undefined {
    const uses = volumeUses(request);
    if (uses === undefined) return undefined;
    const earlier = [...this.#places].filter((place) => conflict(place.uses, uses));
    let finish: () => void = () => undefined;
    const done = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const place: Place = { uses, done };
    this.#places.add(place);
    return {
      awaited: earlier.length === 0 ? undefined : Promise.all(earlier.map((other) => other.done)),
      end: () => {
        this.#places.delete(place);
        finish();
      },
    };
  }
}

function conflict(left: VolumeUses, right: VolumeUses): boolean {
  const touches = ({ reliesOn, makes }: VolumeUses, name: string) =>
    reliesOn.includes(name) || makes.includes(name);
  return left.makes.some((name) => touches(right, name)) || right.makes.some((name) => touches(left, name));
}

/** True for requests that are seen through although their client is gone: others wait for what they make. */
export function isSeenThrough({ route }: JudgedRequest): boolean {
  return route.name === 'volume.create';
}
