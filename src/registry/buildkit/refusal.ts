/** Builds the refusals of BuildKit calls, and collects several of one message into one answer. */
import type { RegistryRefusal } from '../policy.js';
import { type GrpcRefusal, grpcStatus } from './grpc-judge.js';

/** One thing that is wrong with a message. */
export interface BuildFinding {
  readonly text: string;
  readonly setting: string;
}

export const isolationSetting = 'enhancedContainerIsolation.value';

/** A finding about the isolation of a build's steps. */
export function isolationFinding(what: string, remedy: string): BuildFinding {
  return {
    text: `enhanced container isolation: ${what} (setting ${isolationSetting}). ${remedy}`,
    setting: isolationSetting,
  };
}

export function registryFinding(refusal: RegistryRefusal): BuildFinding {
  return { text: refusal.text, setting: refusal.setting };
}

/** All findings at once, so that a person can mend them in one go. */
export function refuse(findings: readonly [BuildFinding, ...BuildFinding[]]): GrpcRefusal {
  return {
    kind: 'deny',
    status: grpcStatus.permissionDenied,
    message: [...new Set(findings.map(({ text }) => text))].join('\n'),
    setting: findings[0].setting,
  };
}
