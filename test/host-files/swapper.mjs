// Exchanges a folder and a symbolic link for one another as fast as it can, until it is killed.
import { renameSync, writeSync } from 'node:fs';

const [folder, link, spare] = process.argv.slice(2);
writeSync(1, 'swapping\n');
for (;;) {
  renameSync(folder, spare);
  renameSync(link, folder);
  renameSync(folder, link);
  renameSync(spare, folder);
}
