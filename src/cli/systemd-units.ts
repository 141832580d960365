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
After=network-online.target docker.socket docker.service
Wants=network-online.target docker.socket

[Service]
Type=notify
ExecStart=${command.map(quoted).join(' ')}
ExecReload=/bin/kill -HUP $MAINPID
Restart=always
RestartSec=1
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
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
CapabilityBoundingSet=~CAP_SYS_MODULE CAP_SYS_BOOT CAP_SYS_TIME CAP_SYS_RAWIO CAP_WAKE_ALARM CAP_MAC_ADMIN CAP_MAC_OVERRIDE

[Install]
WantedBy=multi-user.target
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
