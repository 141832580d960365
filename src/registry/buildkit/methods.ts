/**
 * The gRPC methods that BuildKit clients may call. What isn't listed is refused: a method that is new or unknown could
 * start a build that nobody judged. Source: buildkit `api/services/control/control.proto`,
 * `frontend/gateway/pb/gateway.proto`, and what buildx 0.13 to 0.29 calls.
 */

/** How a method is treated: passed as bytes, or each message of the client judged. */
export type MethodKind = 'pass' | 'inspect';

const control = '/moby.buildkit.v1.Control/';
const bridge = '/moby.buildkit.v1.frontend.LLBBridge/';

/** The calls whose messages are read, by the name that the judge uses. */
export const inspected = {
  controlSolve: `${control}Solve`,
  bridgeSolve: `${bridge}Solve`,
  bridgeReturn: `${bridge}Return`,
  resolveImageConfig: `${bridge}ResolveImageConfig`,
  resolveSourceMeta: `${bridge}ResolveSourceMeta`,
  newContainer: `${bridge}NewContainer`,
  execProcess: `${bridge}ExecProcess`,
} as const;

const passedControl = [
  // What POST /session is for clients that have gRPC alone: the engine asks, and the client serves its files.
  'Session',
  'DiskUsage',
  'Prune',
  'Status',
  'ListWorkers',
  'Info',
  'ListenBuildHistory',
  'UpdateBuildHistory',
];
const passedBridge = [
  'ReadFile',
  'ReadDir',
  'StatFile',
  'Evaluate',
  'Ping',
  'Inputs',
  'ReleaseContainer',
  'ReadFileContainer',
  'ReadDirContainer',
  'StatFileContainer',
  'Warn',
];
const passedOthers = [
  '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
  '/grpc.health.v1.Health/Check',
  '/grpc.health.v1.Health/Watch',
  // `docker buildx history` reads the logs and provenance of a build; the methods that write are refused.
  '/containerd.services.content.v1.Content/Info',
  '/containerd.services.content.v1.Content/Read',
];

const methods: ReadonlyMap<string, MethodKind> = new Map<string, MethodKind>([
  ...Object.values(inspected).map((path) => [path, 'inspect'] as const),
  ...passedControl.map((name) => [`${control}${name}`, 'pass'] as const),
  ...passedBridge.map((name) => [`${bridge}${name}`, 'pass'] as const),
  ...passedOthers.map((path) => [path, 'pass'] as const),
]);

/** How the method with this `:path` is treated; undefined when it is refused. */
export function methodKind(path: string): MethodKind | undefined {
  return methods.get(path);
}
