/**
 * What can be wrong with a settings file, in a form that people and programs can read.
 */

/** One finding in a settings file. */
export interface SettingsIssue {
  /** 1-based position in the file; absent when the file as a whole is meant. */
  readonly line?: number;
  readonly column?: number;
  /** The key, as `enhancedContainerIsolation.value` or `registryAccess.registries[0].address`. */
  readonly key?: string;
  readonly message: string;
  /** What to write instead. */
  readonly suggestion?: string;
}

/** `FILE:LINE:COLUMN: KEY: MESSAGE (SUGGESTION)`, with the parts that there are. */
export function describeIssue(path: string, issue: SettingsIssue): string {
  const place = issue.line === undefined ? path : `${path}:${issue.line}:${issue.column ?? 1}`;
  const key = issue.key === undefined ? '' : `${issue.key}: `;
  const suggestion = issue.suggestion === undefined ? '' : ` (${issue.suggestion})`;
  return `${place}: ${key}${issue.message}${suggestion}`;
}

/** Thrown when a settings file can't be used; carries every issue that was found in it. */
export class SettingsProblem extends Error {
  readonly code = 'COFFERDAM_SETTINGS_INVALID';

  constructor(
    readonly path: string,
    readonly issues: readonly SettingsIssue[],
  ) {
    super(issues.map((issue) => describeIssue(path, issue)).join('\n'));
    this.name = 'SettingsProblem';
  }
}
