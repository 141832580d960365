/**
 * The rule `process-lists`: `docker top` has the engine run the host's ps as root, with the client's arguments, and
 * keep the lines whose column PID is a process of the container (moby daemon/top_unix.go). Arguments that put anything
 * else under that heading would show any process of the host, with its environment.
 */
import { findingsOf } from './finding.js';
import type { Rule } from './rule.js';

const { deny } = findingsOf('process-lists');

/** Columns of one word, heading and content alike: behind them the words of a line can still be counted. */
const columns = new Set([
  ...[
    'pid',
    'ppid',
    'pgid',
    'pgrp',
    'sid',
    'sess',
    'tgid',
    'lwp',
    'tid',
    'spid',
    'uid',
    'gid',
    'euid',
    'egid',
  ],
  ...[
    'ruid',
    'rgid',
    'user',
    'euser',
    'ruser',
    'uname',
    'group',
    'egroup',
    'rgroup',
    'tty',
    'tt',
    'stat',
    's',
  ],
  ...['state', 'pri', 'ni', 'nice', 'psr', 'cls', 'rtprio', 'nlwp', 'thcount', 'etime', 'etimes', 'time'],
  ...['cputime', 'pcpu', 'pmem', 'rss', 'rssize', 'rsz', 'sz', 'vsz', 'vsize', 'c', 'f', 'flags', 'maj_flt'],
  ...['min_flt', 'wchan', 'start_time', 'stime', 'bsdtime'],
]);

/** Options that put a security label before the process's id; AppArmor's are of two words (`docker-default (enforce)`). */
const labels = /^(-?[A-Za-z]*[MZ]|--context)/;

export const processLists: Rule = {
  id: 'process-lists',
  summary:
    'Arguments of `docker top` may name columns, `pid` among the first of them, but no headings and formats of one’s own: the host’s `ps` would list other processes.',
  setting: 'enhancedContainerIsolation.value',
  whenIsolationIsOff: 'rests',
  routes: ['container.top'],
  judge: ({ query }) => {
    const text = query.get('ps_args')?.[0] ?? '';
    if (isHarmless(text.split(/\s+/).filter((word) => word !== ''))) return [];
    return [
      deny(
        'query:ps_args',
        'these arguments of ps could show processes of the host',
        'Use options without = and %, and begin the list of columns with pid.',
      ),
    ];
  },
};

function isHarmless(words: readonly string[]): boolean {
  if (!words.every((word) => /^(--sort=)?[A-Za-z0-9_,.:+-]+$/.test(word))) return false;
  if (words.some((word) => labels.test(word))) return false;
  const named: string[] = [];
  let formats = 0;
  for (let at = 0; at < words.length; at += 1) {
    const format = formatIn(words[at] ?? '');
    if (format === undefined) continue;
    formats += 1;
    // The list stands behind the option, in the same word or the next.
    if (format === '') at += 1;
    named.push(...(format || (words[at] ?? '')).split(','));
  }
  return formats === 0 || countsToPid(named);
}

/** What follows an option that names columns: `-o`, `-eo`, `axo`, `-O`, `--format`. */
function formatIn(word: string): string | undefined {
  if (word.startsWith('--')) return word === '--format' ? '' : undefined;
  return /^-?[A-Za-z]*?[oO](.*)$/.exec(word)?.[1];
}

/** Whether the heading PID stands over the process's id: with columns of one word before it. */
function countsToPid(list: readonly string[]): boolean {
  const place = list.indexOf('pid');
  return place !== -1 && list.slice(0, place).every((column) => columns.has(column));
}
