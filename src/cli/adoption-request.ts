/**
 * The create request that makes a container anew with everything it has: configuration, limits, mounts, networks.
 * Pure. What inspect tells is taken as it is; whether the new container may have it, the rules decide.
 */
import { z } from 'zod';

const loose = z.record(z.string(), z.unknown());
const strings = z.array(z.string()).nullish();

const mountSchema = z.object({
  Type: z.string(),
  Name: z.string().optional().default(''),
  Source: z.string().optional().default(''),
  Destination: z.string(),
  RW: z.boolean(),
});

/** GET /containers/{id}/json, as far as adoption reads it; everything else in Config and HostConfig goes along. */
export const adoptableSchema = z.object({
  Id: z.string(),
  Name: z.string(),
  /** Id of its image. */
  Image: z.string(),
  State: z.object({ Running: z.boolean(), StartedAt: z.string() }),
  Config: z.looseObject({ Hostname: z.string().optional().default('') }),
  HostConfig: z.looseObject({
    Runtime: z.string().optional().default(''),
    AutoRemove: z.boolean().optional().default(false),
    NetworkMode: z.string().optional().default(''),
    Binds: strings,
    Mounts: z
      .array(z.looseObject({ Type: z.string(), Source: z.string().optional(), Target: z.string() }))
      .nullish(),
  }),
  Mounts: z.array(mountSchema).nullish(),
  NetworkSettings: z.object({ Networks: z.record(z.string(), loose).nullish() }),
});
export type Adoptable = z.infer<typeof adoptableSchema>;

export interface AdoptionRequest {
  readonly body: Readonly<Record<string, unknown>>;
  /** Networks besides the first: older engines connect a container to one network when it is made. */
  readonly connections: readonly {
    readonly network: string;
    readonly endpoint: Readonly<Record<string, unknown>>;
  }[];
}

/** Fields of an endpoint that its user chose; the rest is the engine's own. */
const chosenFields = ['IPAMConfig', 'Links', 'Aliases', 'DriverOpts', 'GwPriority'];

/** @param image id of the image that the container's files were committed to */
export function adoptionRequest(container: Adoptable, image: string): AdoptionRequest {
  const { Hostname, ...config } = container.Config;
  const { Runtime: _runtime, VolumesFrom: _volumesFrom, ...hostConfig } = container.HostConfig;
  const networks = Object.entries(container.NetworkSettings.Networks ?? {}).map(([network, endpoint]) => ({
    network,
    endpoint: chosen(endpoint, container.Id),
  }));
  const [first, ...connections] = sorted(networks, container.HostConfig.NetworkMode);
  const own = Hostname === container.Id.slice(0, 12) ? {} : { Hostname };
  return {
    body: {
      ...config,
      ...own,
      Image: image,
      HostConfig: { ...hostConfig, ...mounts(container) },
      ...(first === undefined
        ? {}
        : { NetworkingConfig: { EndpointsConfig: { [first.network]: first.endpoint } } }),
    },
    connections,
  };
}

type Network = AdoptionRequest['connections'][number];

/** The network that NetworkMode names comes first. */
function sorted(networks: readonly Network[], mode: string): readonly Network[] {
  const main = mode === 'default' || mode === '' ? 'bridge' : mode;
  if (main === 'none' || main.startsWith('container:')) return [];
  return networks.toSorted((left, right) => Number(right.network === main) - Number(left.network === main));
}

function chosen(endpoint: Readonly<Record<string, unknown>>, id: string): Readonly<Record<string, unknown>> {
  const entries = chosenFields.flatMap((field) => {
    const value = endpoint[field];
    if (value === undefined || value === null) return [];
    // The engine adds the short id as an alias by itself.
    const kept = Array.isArray(value) ? value.filter((one) => one !== id.slice(0, 12)) : value;
    return [[field, kept] as const];
  });
  return Object.fromEntries(entries);
}

/**
 * The mounts under their present names: anonymous volumes, and what came from other containers, would be made anew or
 * lost otherwise.
 */
function mounts(container: Adoptable): {
  readonly Binds: readonly string[];
  readonly Mounts: readonly unknown[];
} {
  const { Binds, Mounts } = container.HostConfig;
  const kept = (Mounts ?? []).filter(({ Type, Source }) => Type !== 'volume' || (Source ?? '') !== '');
  const named = new Set([
    ...(Binds ?? []).map((bind) => bind.split(':')[1] ?? bind),
    ...kept.map(({ Target }) => Target.replace(/(.)\/+$/, '$1')),
  ]);
  const others = (container.Mounts ?? []).filter(
    ({ Type, Destination }) => ['volume', 'bind'].includes(Type) && !named.has(Destination),
  );
  return {
    Binds: [...(Binds ?? []), ...others.map(bindOf)],
    Mounts: kept,
  };
}

function bindOf({ Type, Name, Source, Destination, RW }: z.infer<typeof mountSchema>): string {
  return `${Type === 'volume' ? Name : Source}:${Destination}:${RW ? 'rw' : 'ro'}`;
}
