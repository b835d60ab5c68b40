#!/bin/bash
# A real SLURM of one node on this machine, from Debian's packages, for the tests of the executor `slurm`.
#
#   single_node.sh install   the packages (root and apt)
#   single_node.sh start     configuration, daemons; returns when the node is idle
#   single_node.sh stop      cancels what is queued, ends the daemons that `start` began
#
# Every verb may be repeated. It writes nothing where a SLURM stands that it did not set up itself.
set -euo pipefail

MARK="# written by bench3d's single_node.sh"
CONF=/etc/slurm/slurm.conf
RUN=/run/bench3d-slurm
STATE=/var/lib/bench3d-slurm

say() { echo "single_node.sh: $*" >&2; }

running() { # is the process of a pid file alive, and that daemon's?
    [ -s "$1" ] && [ "$(cat "/proc/$(cat "$1")/comm" 2>/dev/null)" = "$2" ]
}

ours() { [ ! -e "$CONF" ] || grep -qF "$MARK" "$CONF"; }

install_packages() {
    local name missing=""
    for name in sbatch squeue slurmctld slurmd munged; do
        command -v "$name" >/dev/null || missing="$missing $name"
    done
    [ -n "$missing" ] || return 0
    command -v apt-get >/dev/null || { say "there is no apt-get here"; exit 3; }
    apt-get update -qq
    # Daemons must not start by themselves: they are configured first, and stopped by process id.
    DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -qq -y --no-install-recommends slurm-wlm munge
}

write_configuration() {
    local memory
    memory=$(awk '/MemTotal/ {print int($2 / 1024 * 0.8)}' /proc/meminfo)
    mkdir -p /etc/slurm "$RUN" "$STATE/ctld" "$STATE/d"
    # cred_expire: SLURM lets a requeued job wait until its credential expires, two minutes by default.
    # KillWait: seconds between the end signal and SIGKILL. NodeAddr keeps everything on this machine. The tests want
    # four elements at once, however many cores there are (config_overrides).
    cat >"$CONF" <<END
$MARK
ClusterName=bench3d
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=cred_expire=5
CredType=cred/munge
StateSaveLocation=$STATE/ctld
SlurmdSpoolDir=$STATE/d
SlurmctldPidFile=$RUN/slurmctld.pid
SlurmdPidFile=$RUN/slurmd.pid
SlurmctldLogFile=$RUN/slurmctld.log
SlurmdLogFile=$RUN/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=1,sched_interval=2
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
KillWait=10
SlurmdParameters=config_overrides
MinJobAge=20
MpiDefault=none
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
NodeName=localhost NodeHostname=$(hostname -s) NodeAddr=127.0.0.1 CPUs=4 RealMemory=$memory State=UNKNOWN
PartitionName=debug Nodes=localhost Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO
END
}

start_munge() {
    if munge -n 2>/dev/null | unmunge >/dev/null 2>&1; then return; fi
    mkdir -p /run/munge
    chown munge: /run/munge /var/log/munge /var/lib/munge
    [ -s /etc/munge/munge.key ] || { runuser -u munge -- /usr/sbin/mungekey --create || /usr/sbin/mungekey --create; }
    rm -f /run/munge/munge.socket.2*
    runuser -u munge -- /usr/sbin/munged --pid-file "/run/munge/munged.pid"
    touch "$RUN/munge-is-ours"
    munge -n | unmunge >/dev/null
}

start() {
    ours || { say "$CONF is another SLURM's; nothing was touched"; exit 4; }
    mkdir -p "$RUN" "$STATE"
    if running "$RUN/slurmctld.pid" slurmctld && running "$RUN/slurmd.pid" slurmd; then
        sinfo --noheader >/dev/null && return
    fi
    write_configuration
    start_munge
    rm -rf "$STATE/ctld" "$STATE/d"
    mkdir -p "$STATE/ctld" "$STATE/d"
    slurmctld
    sleep 1
    slurmd
    for _ in $(seq 60); do
        [ "$(sinfo --noheader --format=%T 2>/dev/null)" = idle ] && return
        sleep 0.5
    done
    say "the node did not become idle; see $RUN/slurmctld.log and $RUN/slurmd.log"
    exit 5
}

end() { # pid file, name
    running "$1" "$2" || return 0
    local pid
    pid=$(cat "$1")
    kill "$pid"
    for _ in $(seq 40); do
        running "$1" "$2" || return 0
        sleep 0.25
    done
    kill -9 "$pid" 2>/dev/null || true
}

stop() {
    if running "$RUN/slurmctld.pid" slurmctld; then
        scancel --user=root 2>/dev/null || true
        for _ in $(seq 40); do
            [ -z "$(squeue --noheader 2>/dev/null)" ] && break
            sleep 0.5
        done
    fi
    end "$RUN/slurmd.pid" slurmd
    end "$RUN/slurmctld.pid" slurmctld
    if [ -e "$RUN/munge-is-ours" ]; then
        end /run/munge/munged.pid munged
        rm -f "$RUN/munge-is-ours"
    fi
}

[ "$(id -u)" = 0 ] || { say "needs root"; exit 3; }
case "${1:-}" in
install) install_packages ;;
start) install_packages && start ;;
stop) stop ;;
*)
    say "one of: install, start, stop"
    exit 2
    ;;
esac
