/** Vitest's global set-up of the engine tests: they run the compiled program, so it is built once before them. */
import { existsSync, readdirSync, statSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runCommand } from '../../src/engine/embedded/command.js';
import { withFileLock } from '../../src/engine/embedded/file-lock.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const built = join(root, 'dist/.built');

function newestSource(): number {
  return readdirSync(join(root, 'src'), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .reduce((latest, entry) => Math.max(latest, statSync(join(entry.parentPath, entry.name)).mtimeMs), 0);
}

export async function setup(): Promise<void> {
  await withFileLock(join(tmpdir(), 'cofferdam.build.lock'), async () => {
    if (existsSync(built) && statSync(built).mtimeMs > newestSource()) return;
    const begin = new Date();
    const { code, stdout, stderr } = await runCommand('npm', ['run', 'build'], { cwd: root });
    // The compiler emits in spite of type errors; those are for `npm run typecheck` to report.
    if (code !== 0) process.stderr.write(`npm run build: exit code ${code}\n${stdout}${stderr}`);
    // A source that changed meanwhile is newer than this.
    if (existsSync(built)) utimesSync(built, begin, begin);
    if (!existsSync(join(root, 'dist'))) throw new Error('the build left no dist folder');
  });
}
