"""The host that the guest's benches audit: settings that an audit finds, and units of every kind.

What is written here is what the facts must say; `WRITTEN` repeats it in the facts' own units.
"""

PACKAGES = ("postgresql", "python3", "sosreport", "sudo")
"""PostgreSQL is what is to be protected; Python is Ansible's own need, and sos's."""

SERVICES = ("leaky", "every", "job", "worker@1", "worker@a-b", "generated-user", "database")
MASKED = ("postgresql",)

MIB = 2**20

SYSCTLS = {
    "vm.panic_on_oom": "1",
    "kernel.panic": "0",
    "kernel.hung_task_panic": "1",
    "vm.swappiness": "0",
    "vm.oom_kill_allocating_task": "1",
}

FILES = {
    "etc/sysctl.d/audit.conf": "".join(f"{name}={value}\n" for name, value in SYSCTLS.items()),
    # For Ansible's `become` from a plain user's login.
    "etc/sudoers.d/audit": "audit ALL=(ALL) NOPASSWD: ALL\n",
    "etc/systemd/system/leaky.service": """\
[Service]
ExecStart=/bin/sleep infinity
Restart=no
[Install]
WantedBy=multi-user.target
""",
    "etc/systemd/system/every.service": """\
[Unit]
StartLimitBurst=9
StartLimitIntervalSec=1h 2min
[Service]
ExecStart=/bin/sleep infinity
MemoryMax=200M
MemoryHigh=150M
MemorySwapMax=50M
OOMScoreAdjust=321
OOMPolicy=kill
Restart=on-abnormal
RestartSec=7min 3s 50ms
LimitCORE=0
Slice=work-inner.slice
Environment="PGDATA=/srv/data base" PG_OOM_ADJUST_FILE=/proc/self/oom_score_adj
Environment=PG_OOM_ADJUST_VALUE=-17 PASSWORD=hunter2
[Install]
WantedBy=multi-user.target
""",
    "etc/systemd/system/job.service": """\
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/true
LimitCORE=0:1G
MemoryMax=10%
[Install]
WantedBy=multi-user.target
""",
    "etc/systemd/system/work.slice": "[Slice]\nMemoryMax=400M\nMemorySwapMax=0\n",
    "etc/systemd/system/work-inner.slice": "[Slice]\nMemoryHigh=300M\n",
    "etc/systemd/system/worker@.service": """\
[Service]
ExecStart=/bin/sleep infinity
Restart=always
RestartSec=2
[Install]
WantedBy=multi-user.target
""",
    "etc/systemd/system/worker@.service.d/50-all.conf": (
        "[Service]\nMemoryMax=64M\nMemoryHigh=32M\n"
    ),
    "etc/systemd/system/worker@1.service.d/60-one.conf": (
        "[Service]\nMemoryMax=infinity\nLimitCORE=infinity\n[Unit]\nStartLimitIntervalSec=0\n"
    ),
    # Debian protects its own service (pg_ctlcluster does); this one is as others build it.
    "etc/systemd/system/database.service": """\
[Service]
User=postgres
RuntimeDirectory=postgresql
ExecStart=/bin/sh -c 'exec /usr/lib/postgresql/*/bin/postgres -D /var/lib/postgresql/*/main \
    -c config_file=$(echo /etc/postgresql/*/main/postgresql.conf)'
Restart=on-failure
[Install]
WantedBy=multi-user.target
""",
    "etc/systemd/system/ssh.service.d/limit.conf": "[Service]\nOOMScoreAdjust=-900\n",
    "etc/systemd/system/generated-user.service": """\
[Unit]
Wants=generated.service
[Service]
ExecStart=/bin/sleep infinity
[Install]
WantedBy=multi-user.target
""",
    "etc/systemd/system-generators/forestall-bench": """\
#!/bin/sh
printf '[Service]\\nExecStart=/bin/sleep infinity\\nMemoryMax=77M\\nOOMPolicy=continue\\n' \
>"$1/generated.service"
""",
}

WRITTEN = {
    "leaky.service": {"memory_max_bytes": None, "limit_known": True, "restart": "no"},
    "every.service": {
        "memory_max_bytes": 200 * MIB,
        "memory_high_bytes": 150 * MIB,
        "swap_max_bytes": 50 * MIB,
        "oom_score_adjust": 321,
        "oom_policy": "kill",
        "restart": "on-abnormal",
        "restart_seconds": 423.05,
        "start_limit_burst": 9,
        "start_limit_interval_seconds": 3720.0,
        "cores_allowed": False,
        "slice": "work-inner.slice",
        "oom_adjust_children": -17,
    },
    "job.service": {"service_type": "oneshot", "cores_allowed": False, "active": True},
    "worker@1.service": {
        "memory_max_bytes": None,
        "memory_high_bytes": 32 * MIB,
        "cores_allowed": True,
        "restart_seconds": 2.0,
        "start_limit_interval_seconds": 0.0,
    },
    "worker@a-b.service": {"memory_max_bytes": 64 * MIB, "memory_high_bytes": 32 * MIB},
    "ssh.service": {"oom_score_adjust": -900},
    "generated.service": {"memory_max_bytes": 77 * MIB, "oom_policy": "continue"},
    "work.slice": {"memory_max_bytes": 400 * MIB, "swap_max_bytes": 0},
    "work-inner.slice": {"memory_max_bytes": None, "memory_high_bytes": 300 * MIB},
}
