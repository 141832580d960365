/**
 * `cofferdam check`: are these settings right?
 */
import { isKnownCommand } from '../rules/command-routes.js';
import { lockedSections } from '../settings/compose.js';
import { type LoadedSettings, loadSettingsFile } from '../settings/load.js';
import { warningKeys } from '../settings/modes.js';
import { describeIssue, SettingsProblem } from '../settings/problem.js';
import { parseOptions, UsageError } from './options.js';
import { colour, complain, print, printJson } from './output.js';

function summary(file: LoadedSettings): string[] {
  const isolation = file.settings.enhancedContainerIsolation;
  const locked = lockedSections(file.settings);
  const warns = warningKeys(file.settings);
  return [
    `${colour('green', 'ok')}  ${file.path}${file.source === 'shipped' ? ' (shipped with the program)' : ''}`,
    `    isolation is ${isolation.value ? 'on' : 'off'}, ${isolation.locked ? 'locked' : 'users may switch it'}`,
    `    locked: ${locked.length === 0 ? 'nothing' : locked.join(', ')}`,
    ...(warns.length === 0 ? [] : [`    only warns: ${warns.join(', ')}`]),
    ...(file.ignored.length === 0 ? [] : [`    without a meaning here, ignored: ${file.ignored.join(', ')}`]),
  ];
}

/** Names in command lists that mean nothing: a list that denies them denies nothing. */
function unknownCommands({ settings, path }: LoadedSettings): string[] {
  const { commandList, perImage } = settings.enhancedContainerIsolation.dockerSocketMount;
  const lists = [
    ['commandList', commandList] as const,
    ...perImage.map((entry, index) => [`perImage[${index}].commandList`, entry.commandList] as const),
  ];
  return lists.flatMap(([place, { commands }]) =>
    commands
      .filter((name) => !isKnownCommand(name))
      .map((name) => {
        const key = `enhancedContainerIsolation.dockerSocketMount.${place}.commands`;
        return describeIssue(path, {
          key,
          message: `${JSON.stringify(name)} is no docker command: it has no effect`,
        });
      }),
  );
}

/** Checks a settings file; 0 when the daemon would take it, else 78. */
export async function check(argv: readonly string[], environment: NodeJS.ProcessEnv): Promise<number> {
  const options = parseOptions('check', argv, environment);
  const [path = options.settings, ...more] = options.operands;
  if (more.length > 0) throw new UsageError('one FILE at most', 'check');
  try {
    const file = loadSettingsFile(path);
    const warnings = [
      ...file.warnings.map((warning) => describeIssue(file.path, warning)),
      ...unknownCommands(file),
    ];
    if (options.json) {
      const { settings, ignored } = file;
      printJson({ path: file.path, valid: true, issues: [], warnings, ignored, settings });
      return 0;
    }
    for (const warning of warnings) complain(`warning: ${warning}`);
    for (const line of summary(file)) print(line);
    return 0;
  } catch (error) {
    if (!(error instanceof SettingsProblem) || !options.json) throw error;
    printJson({ path: error.path, valid: false, issues: error.issues, warnings: [], ignored: [] });
    return 78;
  }
}
