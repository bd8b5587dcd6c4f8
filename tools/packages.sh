#!/bin/sh
# Installs the Debian packages of the groups that are named, and only what is missing:
#   packages.sh [--check] GROUP...
# Assumes a POSIX shell only. As root on Debian or Ubuntu it installs; any other user, or with
# --check, is told what to ask for, and it ends with 3.
#
# What it installs must not begin to run: the drills start their own, on loopback and in their own
# folders. So while it installs, services are kept from starting (policy-rc.d, taken away again; one
# that was there is left as it is), postgresql makes no default cluster (createcluster.conf, put
# back afterwards), and units of packages that are new are disabled.
set -eu

say() { printf 'forestall: %s\n' "$*" >&2; }

# One line per package: its name and what shows that it is there (a command, or a path that may
# hold a star).
members() {
    case $1 in
    cluster) # drills/cluster: a database pair with failover
        echo "etcd-server etcd"
        echo "etcd-client etcdctl"
        echo "haproxy haproxy"
        echo "pgbouncer pgbouncer"
        echo "postgresql /usr/lib/postgresql/*/bin/postgres"
        ;;
    panic) # drills/panic: a kernel that really panics
        echo "qemu-system-x86 qemu-system-x86_64"
        echo "e2fsprogs mke2fs"
        echo "busybox-static /usr/share/doc/busybox-static"
        ;;
    guards) # what the drills compare with
        echo "earlyoom earlyoom"
        echo "nohang nohang"
        ;;
    managers) # service managers that guard can ask for a restart
        echo "supervisor supervisord"
        echo "podman podman"
        ;;
    versions) # what compares package versions
        echo "rpm rpm"
        echo "libdpkg-perl /usr/share/perl5/Dpkg/Version.pm"
        ;;
    metrics) # what `forestall audit prometheus` reads from
        echo "prometheus prometheus"
        echo "prometheus-node-exporter prometheus-node-exporter"
        ;;
    ssh) # collecting facts over SSH: a server to ask, and the shells that hosts have
        echo "openssh-client ssh-keygen"
        echo "openssh-server sshd"
        echo "busybox-static /usr/share/doc/busybox-static"
        echo "mksh mksh"
        echo "ksh93u+m ksh93"
        echo "yash yash"
        echo "posh posh"
        echo "zsh zsh"
        echo "original-awk original-awk"
        echo "rust-coreutils /usr/lib/cargo/bin/coreutils"
        echo "shellcheck shellcheck"
        ;;
    reports) # what `forestall audit sosreport` reads
        echo "sosreport sos"
        ;;
    browser) # the pages, looked at as a person does
        echo "chromium chromium"
        ;;
    *)
        say "packages.sh: no group is called $1; there are cluster, panic, guards, managers, metrics, reports, ssh, versions, browser"
        exit 2
        ;;
    esac
}

# A file, or a command: also in the sbin folders, which a plain user's PATH leaves out.
present() {
    case $1 in
    /*)
        for path in $1; do [ -e "$path" ] && return 0; done
        return 1
        ;;
    esac
    PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin" command -v "$1" >/dev/null 2>&1
}

policy=/usr/sbin/policy-rc.d
clusters=/etc/postgresql-common/createcluster.conf
made_policy=
kept_clusters=

put_back() {
    [ -z "$made_policy" ] || rm -f "$policy"
    [ -z "$kept_clusters" ] || mv -f "$kept_clusters" "$clusters"
    made_policy= kept_clusters=
}

installed() { dpkg-query -W -f '${db:Status-Status} ${Package}\n' 2>/dev/null | sed -n 's/^installed //p' | sort; }

apt() {
    DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 \
        -o Dpkg::Options::=--force-confold "$@" >"$log" 2>&1 || {
        tail -n 5 "$log" >&2
        say "apt-get $1 did not work: ask for  apt-get install$missing"
        exit 3
    }
}

# A new package's units would be started at the next boot.
disable_new() {
    command -v systemctl >/dev/null 2>&1 || return 0
    installed | comm -13 "$before" - | while read -r package; do
        dpkg -L "$package" | sed -n 's#^\(/usr\)\{0,1\}/lib/systemd/system/\([^/@]*\)$#\2#p'
    done | while read -r unit; do
        systemctl disable --quiet "$unit" >/dev/null 2>&1 || true
    done
}

check=
[ "${1-}" != --check ] || { check=yes && shift; }
[ $# -gt 0 ] || { say "usage: packages.sh [--check] GROUP..." && exit 2; }
missing=
for group in "$@"; do
    lines=$(members "$group") || exit $?
    while read -r package sign; do
        present "$sign" || missing="$missing $package"
    done <<EOT
$lines
EOT
done
[ -n "$missing" ] || exit 0

if [ -n "$check" ] || [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    say "missing on this machine:$missing"
    say "  Debian, Ubuntu: as root  sh tools/packages.sh $*    or ask for  apt-get install$missing"
    exit 3
fi

say "installing$missing"
log=$(mktemp)
before=$(mktemp)
trap 'put_back; rm -f "$log" "$before"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
installed >"$before"
if [ ! -e "$policy" ]; then
    made_policy=yes
    printf '#!/bin/sh\n# For the time of an installation by forestall: nothing new is started.\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi
apt update
case " $missing " in *" postgresql "*)
    present pg_createcluster || apt install -y --no-install-recommends postgresql-common
    kept_clusters=$(mktemp "$clusters.XXXXXX")
    cp -p "$clusters" "$kept_clusters"
    echo "create_main_cluster = false" >>"$clusters"
    ;;
esac
# shellcheck disable=SC2086 # a list of names
apt install -y --no-install-recommends $missing
disable_new
