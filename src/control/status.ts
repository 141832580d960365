/**
 * What the daemon says about itself over the control socket: the answer to `GET /status`, parsed by its schema
 * where it is read.
 */
import { z } from 'zod';

const containerSchema = z.object({
  id: z.string(),
  name: z.string(),
  running: z.boolean(),
  runtime: z.string(),
  /** Why it isn't isolated. */
  reason: z.string(),
});

export const statusSchema = z.object({
  version: z.string(),
  pid: z.number(),
  /** Milliseconds since the epoch. */
  startedAt: z.number(),
  listen: z.array(z.string()).readonly(),
  engine: z.object({
    address: z.string(),
    /** Absent while the engine doesn't answer. */
    version: z.string().optional(),
    apiVersion: z.string().optional(),
    embedded: z.boolean(),
    problem: z.string().optional(),
  }),
  runtime: z.object({
    /** The program that starts containers in the end: `runc`, `crun` or `sysbox`. */
    backend: z.string(),
    registered: z.boolean(),
    isDefault: z.boolean(),
  }),
  settings: z.object({
    path: z.string(),
    source: z.enum(['administrator', 'shipped']),
    generation: z.number(),
    /** Why the newest file isn't in force. */
    problem: z.string().optional(),
    warnings: z.array(z.string()).readonly(),
    isolation: z.object({
      value: z.boolean(),
      locked: z.boolean(),
      /** What locks it: the file, or the policy bundle. */
      lockedIn: z.string().optional(),
      /** The uid that switched it, where a user did. */
      chosenBy: z.number().optional(),
    }),
    locked: z.array(z.string()).readonly(),
    /** What only warns, by its key. */
    onlyWarning: z.array(z.string()).readonly(),
  }),
  ranges: z.object({ inUse: z.number(), free: z.number() }),
  /** The policy bundle, where one is configured. */
  policy: z
    .object({
      url: z.string(),
      serial: z.number().optional(),
      /** When the server last confirmed it, in milliseconds since the epoch. */
      confirmedAt: z.number().optional(),
      problem: z.string().optional(),
      overdue: z.boolean(),
    })
    .optional(),
  ready: z.object({
    engine: z.boolean(),
    runtime: z.boolean(),
    ledger: z.boolean(),
    /** False when the policy bundle was not refreshed within its grace period. */
    policy: z.boolean().optional(),
  }),
  notIsolated: z.array(containerSchema).readonly(),
  /** Who reaches the engine past the daemon, in words: accounts, processes, containers, TCP ports. */
  past: z.array(z.string()).readonly(),
});
export type Status = z.infer<typeof statusSchema>;

/** True when the daemon can protect what it is asked for. */
export function isReady(ready: Status['ready']): boolean {
  return ready.engine && ready.runtime && ready.ledger && ready.policy !== false;
}

/** A container as the engine lists it. */
export interface ListedContainer {
  readonly id: string;
  readonly name: string;
  readonly runtime: string;
  readonly running: boolean;
}

/** The runtime's name as docker shows it; dockerd knows no other for isolated containers. */
export const isolatedRuntime = 'sysbox-runc';

/** The containers that aren't isolated, each with the reason. `hasRange` asks the ledger. */
export function findUnisolated(
  containers: readonly ListedContainer[],
  hasRange: (id: string) => boolean,
): Status['notIsolated'] {
  return containers.flatMap((container) => {
    if (container.runtime !== isolatedRuntime) {
      return [{ ...container, reason: `its runtime is ${container.runtime}: it was made without isolation` }];
    }
    // A stopped container of ours without a record gets a range when it is started.
    if (!container.running || hasRange(container.id)) return [];
    return [{ ...container, reason: 'the ledger has no range for it' }];
  });
}
