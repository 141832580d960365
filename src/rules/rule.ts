/**
 * The interface of a rule. Rules are pure: no I/O, no clock. They get a typed request, the caller and
 * looked-up facts, and say what they find. All findings of a request are reported at once.
 */

import type { EngineFacts, Facts, Need } from '../engine/fact-types.js';
import type { JsonObject, JsonValue } from '../engine/json.js';
import type { Route } from '../engine/routes.js';
import type { Settings } from '../settings/schema.js';
import type { Caller } from '../uid-allocator/record.js';

export type {
  ContainerFacts,
  EngineFacts,
  EnginePreparation,
  Facts,
  ImageFacts,
  MountFacts,
  Need,
  PathFacts,
  SocketImageFacts,
  VolumeFacts,
} from '../engine/fact-types.js';

/** A request as it will be sent: what is judged is what the engine gets. */
export interface JudgedRequest {
  readonly route: Route;
  /** Path parameters, decoded. */
  readonly params: Readonly<Record<string, string>>;
  /** Query parameters, decoded; each at least one value. */
  readonly query: ReadonlyMap<string, readonly string[]>;
  /** Request headers by lower-case name, only those that are passed on. */
  readonly headers: ReadonlyMap<string, string>;
  /** The typed JSON body with canonical keys; absent for routes without one. */
  readonly body?: JsonObject;
  /** The API version of the request: from its path, else the engine's newest. */
  readonly apiVersion: string;
  readonly caller: Caller;
  readonly engine: EngineFacts;
  readonly settings: Settings;
}

export interface Denial {
  readonly kind: 'deny';
  /** Stable id of the rule that found it. */
  readonly rule: string;
  /** RFC 6901 JSON pointer into the body (`/HostConfig/PidMode`), or `query:NAME`, or `path`. */
  readonly field: string;
  /** What was refused and why, without the prefix `enhanced container isolation: `. */
  readonly reason: string;
  /** The setting that decides, e.g. `enhancedContainerIsolation.value`. */
  readonly setting: string;
  /** What the user can do instead. */
  readonly remedy: string;
  /** HTTP status; 403 unless the request is malformed (400) or too large (413). */
  readonly status?: number;
  /** When set, the message is exactly this text (the original's own wording). */
  readonly text?: string;
}

export interface Assignment {
  readonly kind: 'set';
  readonly rule: string;
  /** RFC 6901 JSON pointer; missing objects on the way are made. */
  readonly field: string;
  /** `undefined` removes the field. */
  readonly value: JsonValue | undefined;
  readonly reason: string;
}

/** Sets a query parameter of the request (`undefined` removes it). */
export interface QueryAssignment {
  readonly kind: 'set-query';
  readonly rule: string;
  readonly name: string;
  readonly value: string | undefined;
  readonly reason: string;
}

/** Something allowed that the administrator should see. */
export interface Warning {
  readonly kind: 'warn';
  readonly rule: string;
  readonly field: string;
  readonly reason: string;
}

export type Finding = Denial | Assignment | QueryAssignment | Warning;

export interface Rule {
  /** Equals its file's name, its docs row and its test folder. */
  readonly id: string;
  /** One sentence for docs/rules.md: what it does and to which fields. */
  readonly summary: string;
  /** The setting that changes its verdict, or `none`. */
  readonly setting: string;
  /** `rests`: nothing is left to protect once containers share the host's users; `judges`: it is about more. */
  readonly whenIsolationIsOff: 'rests' | 'judges';
  /** Names of the routes that it judges; `*` for all. */
  readonly routes: readonly string[];
  /** Facts that `judge` will ask for. */
  needs?(request: JudgedRequest): readonly Need[];
  /** Facts that follow from other facts: the host path behind a volume. Asked again until nothing new comes. */
  furtherNeeds?(request: JudgedRequest, facts: Facts): readonly Need[];
  judge(request: JudgedRequest, facts: Facts): readonly Finding[];
}
