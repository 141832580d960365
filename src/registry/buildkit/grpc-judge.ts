/**
 * What the proxy asks about each gRPC message that a client sends to the engine's BuildKit. Types only.
 */

/** gRPC status codes that are used here (grpc/status.h). */
export const grpcStatus = {
  invalidArgument: 3,
  permissionDenied: 7,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
} as const;

export interface GrpcRefusal {
  readonly kind: 'deny';
  /** A gRPC status code. */
  readonly status: number;
  /** What the user reads. */
  readonly message: string;
  /** The setting that decides, for the audit log. */
  readonly setting: string;
}

export type GrpcVerdict =
  | { readonly kind: 'allow' }
  /** The message to send in place of the client's. */
  | { readonly kind: 'replace'; readonly message: Uint8Array }
  | GrpcRefusal;

/** Judges one connection's calls. A build keeps the settings under which its Solve was judged. */
export interface GrpcJudge {
  /**
   * Whether calls of this method pass untouched, need each message of the client judged, or are refused.
   * @param path the `:path` of the call, e.g. `/moby.buildkit.v1.Control/Solve`
   */
  method(path: string): 'pass' | 'inspect' | GrpcRefusal;
  /**
   * Judges one message of an inspected call: its bytes without the gRPC frame's head, uncompressed.
   * @param build the call's `buildkit-controlapi-buildid`: the ref of the Solve within whose build it is made
   */
  message(path: string, message: Uint8Array, build?: string): Promise<GrpcVerdict>;
  /**
   * The header fields that end the engine's answer to an inspected call, as the client is to get them.
   * @param rawHeaders names and values in turns
   */
  status?(rawHeaders: readonly string[]): GrpcAnswer;
}

export interface GrpcAnswer {
  readonly rawHeaders: readonly string[];
  /** What the engine refused by the policy that it was given. */
  readonly refusal?: GrpcRefusal;
}
