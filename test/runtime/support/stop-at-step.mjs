// Loaded before the runtime's own modules (node --import): ends this process by SIGKILL at its nth change to a file,
// counted from when the file `stop-at` in the test's folder says so. Every change is a step of the preparation; the one
// that wasn't made is named in the file `stopped-at`.
import { createRequire, syncBuiltinESMExports } from 'node:module';

const fs = createRequire(import.meta.url)('node:fs');
const plan = `${process.env.COFFERDAM_TEST_FOLDER}/stop-at`;
const { existsSync, readFileSync, unlinkSync, writeFileSync } = fs;
let steps = 0;

for (const name of [
  'mkdirSync',
  'writeFileSync',
  'renameSync',
  'chownSync',
  'rmdirSync',
  'linkSync',
  'writeSync',
]) {
  const original = fs[name];
  fs[name] = (...values) => {
    if (existsSync(plan)) {
      steps += 1;
      if (steps === Number(readFileSync(plan, 'utf8'))) {
        writeFileSync(
          `${process.env.COFFERDAM_TEST_FOLDER}/stopped-at`,
          `${name.replace('Sync', '')} ${values[0]}`,
        );
        unlinkSync(plan);
        process.kill(process.pid, 'SIGKILL');
      }
    }
    return original(...values);
  };
}
syncBuiltinESMExports();
