/**
 * The launcher's text. Everything on the way of a container's start is done by shell builtins: not one process is
 * started besides the backend itself while a daemon runs.
 */

import { separator } from './exchange.js';

export interface LauncherScriptOptions {
  readonly backendBinary: string;
  readonly backend: 'runc' | 'sysbox';
  readonly stateDir: string;
  readonly runDir: string;
  /** The file whose only line names the running daemon's folder. */
  readonly pointer: string;
  readonly node: string;
  readonly oneShot: string;
  readonly slots: number;
  /** The copy for BuildKit, which knows `run` only. */
  readonly builds: boolean;
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/**
 * Engines before 23.0 find BuildKit's `runc` in PATH, and start containers of the runtime named runc with the same
 * program: those are the ones that are not to be isolated.
 */
const buildsCreate = `  create) exec "$backend" "$@" ;;
`;

/** The text of the launcher. It is made of plain POSIX shell, for dash, busybox and bash alike. */
export function launcherScript(options: LauncherScriptOptions): string {
  return `#!/bin/sh
# The OCI runtime of cofferdam: prepares isolation, then becomes the backend. Written by \`cofferdam run\` and
# \`cofferdam setup\`; changes here are lost. It starts nothing when it doesn't understand what it is to do.
backend=${quoted(options.backendBinary)}
pointer=${quoted(options.pointer)}

# Says one line to the daemon and waits for its word, which is then in $reply. Returns 1 when there is no daemon, and
# never waits for one that is dead: the daemon holds the reply pipe open, so its end is the end of the wait.
converse() {
  { IFS= read -r folder <"$pointer"; } 2>/dev/null || return 1
  slot=$(($$ % ${options.slots})) last=$slot
  set -C
  until { echo $$ >"$folder/claim-$slot"; } 2>/dev/null; do
    slot=$(((slot + 1) % ${options.slots}))
    [ "$slot" != "$last" ] || { set +C; return 1; }
  done
  set +C
  # Opened both ways first, because opening one end of a pipe waits for the other.
  [ -p "$folder/requests" ] && [ -p "$folder/reply-$slot" ] || return 1
  { command exec 7<>"$folder/requests" 9<>"$folder/reply-$slot" 8<"$folder/reply-$slot" 9<&-; } 2>/dev/null || return 1
  # While a builtin runs with a redirection, the container's own streams stand elsewhere, and the daemon looks at
  # them while this writes and waits: it is to find them at 4, 5 and 6.
  command exec 4<&0 5>&1 6>&2 || return 1
  printf '%s %s %s %s\\n' "$1" "$slot" "$$" "$2" >&7
  reply=
  while IFS= read -r reply <&8; do
    case $reply in "$$ "*) break ;; esac
    reply=
  done
  [ -z "$reply" ] || printf 'done %s %s\\n' "$slot" "$$" >&7
  exec 4<&- 5>&- 6>&- 7<&- 8<&-
  reply=\${reply#"$$ "}
  [ -n "$reply" ]
}

# A program that opens /dev/stdout by name needs the pipe behind it to be its container's; they come from the shim,
# which is root. The shim works in the bundle's folder, where the first process's id is written. Starting \`chown\`
# takes longer than a word with the daemon.
hand_over_pipes() {
  init=
  # The file has no newline at its end, which read takes for a failure.
  { read -r init <init.pid || [ -n "$init" ]; } 2>/dev/null || return 0
  { read -r first base size <"/proc/$init/uid_map"; } 2>/dev/null || return 0
  [ "$first" = 0 ] && [ "$base" -gt 0 ] || return 0
  pipes=
  for descriptor in 0 1 2; do
    if [ -p "/proc/$$/fd/$descriptor" ]; then pipes="$pipes /proc/$$/fd/$descriptor"; fi
  done
  [ -n "$pipes" ] || return 0
  if converse streams "$base" && [ "$reply" = ok ]; then return 0; fi
  PATH=$PATH:/usr/bin:/bin chown "$base:$base" $pipes
  return 0
}

option= verb= id= bundle=$PWD log= pid_file= format=text systemd=no plain=yes
for argument do
  if [ -n "$option" ]; then
    case $option in
      bundle) bundle=$argument ;;
      log) log=$argument ;;
      log-format) format=$argument ;;
      pid-file) pid_file=$argument ;;
    esac
    option=
    continue
  fi
  case $argument in
    --bundle | -bundle | -b | --b) option=bundle ;;
    --log | -log) option=log ;;
    --log-format | -log-format) option=log-format ;;
    --root | -root | --criu | -criu | --rootless | -rootless) option=other ;;
    --pid-file | -pid-file) option=pid-file ;;
    --console-socket | -console-socket) option=other ;;
    --pidfd-socket | -pidfd-socket | --preserve-fds | -preserve-fds) option=other ;;
    --systemd-cgroup | -systemd-cgroup) systemd=yes ;;
    --version | -version | -v | --help | -help | -h) [ -n "$verb" ] || exec "$backend" "$@" ;;
    --debug | --detach | -d | --keep | --no-new-keyring | --no-pivot | --no-subreaper) ;;
    -*) [ "$verb" = delete ] || plain=no ;;
    create | run)
      if [ -z "$verb" ]; then verb=$argument; else id=$argument; fi
      ;;
    *)
      if [ -n "$verb" ]; then id=$argument; continue; fi
      case $argument in
        exec)
          [ "$plain" = yes ] && hand_over_pipes && exec "$backend" "$@"
          ;;
        delete)
          verb=delete
          continue
          ;;
        start | state | kill | pause | resume | update | ps | events | list | features | spec | help)
          [ "$plain" = yes ] && exec "$backend" "$@"
          ;;
      esac
      verb=unknown
      break
      ;;
  esac
done

# The engine's shim reads the reason from the log file; people read it on standard error.
fail() {
  if [ -n "$log" ] && [ "$format" = json ]; then
    printf '{"level":"error","msg":"%s","time":"%s"}\\n' "$1" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" >>"$log"
  fi
  printf '%s\\n' "$1" >&2
  exit 1
}

# Tells the daemon that a container ends, so that nothing of it stays; without one, the next start looks.
announce_end() {
  { IFS= read -r folder <"$pointer" && [ -p "$folder/requests" ] && command exec 7<>"$folder/requests"; } 2>/dev/null || return 0
  printf 'ended %s\\n' "$id" >&7
  exec 7<&-
}

case $verb in
${options.builds ? buildsCreate : ''}  create | run) ;;
  delete)
    if [ "$plain" = yes ]; then announce_end; fi
    exec "$backend" "$@"
    ;;
  *) fail "cofferdam-runtime: this command is not supported for isolated containers (checkpoint and restore are not)" ;;
esac

# Has the daemon prepare the bundle. Returns 1 when it can't.
us='${separator}'
ask() {
  [ "$plain" = yes ] || return 1
  case $bundle in /*) ;; *) bundle=$PWD/$bundle ;; esac
  case $pid_file in /* | '') ;; *) pid_file=$PWD/$pid_file ;; esac
  converse prepare "$verb $systemd $format $id$us$log$us$bundle$us$pid_file" || return 1
  case $reply in
    ok) return 0 ;;
    "failed "*)
      printf '%s\\n' "\${reply#failed }" >&2
      exit 1
      ;;
  esac
  return 1
}

if ask; then exec "$backend" "$@"; fi

stage=$(${quoted(options.node)} ${quoted(options.oneShot)} \\
  ${quoted(options.stateDir)} ${quoted(options.runDir)} ${options.backend} "$$" "$@" </dev/null) || exit 1
if [ -z "$stage" ]; then exec "$backend" "$@"; fi
"$backend" "$@"
code=$?
PATH=$PATH:/usr/sbin:/usr/bin:/sbin:/bin
umount -l "$stage"
if [ -n "$pid_file" ] && [ "$code" = 0 ]; then
  init=
  if read -r init <"$pid_file" || [ -n "$init" ]; then echo "$init" >"$stage/init"; fi
else
  rmdir "$stage/root" "$stage"
fi
exit "$code"
`;
}
