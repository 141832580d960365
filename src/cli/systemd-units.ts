/**
 * The texts of the systemd units and drop-ins that `cofferdam install` writes.
 */
import { engineSocketPath } from './installed-paths.js';

const origin = '# Written by `cofferdam install`; `cofferdam uninstall` removes it.';

/** Quotes a word of a command line for ExecStart= (systemd.service(5), "Command lines"). */
function quoted(word: string): string {
  const escaped = word.replaceAll('%', '%%').replaceAll('$', '$$$$');
  return /[\s"'\\;]/.test(word) ? `"${escaped.replace(/["\\]/g, '\\$&')}"` : escaped;
}

/**
 * The daemon's unit. It mounts into the host's mount namespace, so everything that gives a service a mount
 * namespace of its own (ProtectSystem=, PrivateTmp= …) would break it. KillMode=process: an embedded engine's
 * containers outlive a restart of the daemon.
 */
export function serviceUnit(command: readonly string[]): string {
  return `${origin}
[Unit]
Description=cofferdam: isolates every container of the Docker Engine
Documentation=man:cofferdam(1)
After=network-online.target docker.socket docker.service cofferdam.socket
Wants=network-online.target docker.socket
Requires=cofferdam.socket
# However often it crashes, it is started again; what can't be served is told to clients at once (below).
StartLimitIntervalSec=0

[Service]
Type=notify
ExecStart=${command.map(quoted).join(' ')}
# The shell's own kill: a small Debian has no other.
ExecReload=/bin/sh -c 'kill -HUP $$MAINPID'
Restart=always
RestartSec=1
# Wrong settings stay wrong: nothing is started until somebody mends them, and clients must not wait for that.
RestartPreventExitStatus=2 78
ExecStopPost=+/bin/sh -c 'case $$EXIT_STATUS in 2|78) systemctl --no-block stop cofferdam.socket;; esac'
TimeoutStartSec=300
TimeoutStopSec=90
WatchdogSec=60
KillMode=process
Delegate=yes
TasksMax=infinity
LimitNOFILE=1048576
OOMScoreAdjust=-500
UMask=0022
RuntimeDirectory=cofferdam
RuntimeDirectoryMode=0755
RuntimeDirectoryPreserve=yes
StateDirectory=cofferdam
StateDirectoryMode=0700
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
SystemCallArchitectures=native
SystemCallFilter=~@clock @cpu-emulation @module @obsolete @raw-io @reboot @swap
SystemCallErrorNumber=EPERM
KeyringMode=private
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
CapabilityBoundingSet=~CAP_SYS_MODULE CAP_SYS_BOOT CAP_SYS_TIME CAP_SYS_RAWIO CAP_WAKE_ALARM CAP_MAC_ADMIN CAP_MAC_OVERRIDE

[Install]
WantedBy=multi-user.target
`;
}

/**
 * The clients' socket, which systemd opens: it is there before the daemon, and clients wait in it while the daemon is
 * started anew.
 * @param before owner and mode of the engine's socket, which it gets
 */
export function socketUnit(path: string, before: { uid: number; gid: number; mode: number }): string {
  return `${origin}
[Unit]
Description=The Docker API, judged by cofferdam
Documentation=man:cofferdam(1)

[Socket]
ListenStream=${path.replaceAll('%', '%%')}
SocketUser=${before.uid}
SocketGroup=${before.gid}
SocketMode=0${before.mode.toString(8)}
Backlog=4096
RemoveOnStop=yes

[Install]
WantedBy=sockets.target
`;
}

/** Moves the engine's socket into the root-only folder from the next start of docker.socket on. */
export function dockerSocketDropIn(): string {
  return `${origin}
[Socket]
# The empty value takes the unit's own address back.
ListenStream=
ListenStream=${engineSocketPath}
SocketUser=root
SocketGroup=root
SocketMode=0600
DirectoryMode=0700
`;
}
