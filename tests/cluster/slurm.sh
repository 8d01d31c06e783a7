#!/bin/bash
# A Slurm of three nodes on this machine runs apps/clr/cluster/clr_array.sbatch: undisturbed, past a
# time limit, cancelled, and with a node that goes down. The task files have the same bytes each time.
. "$(dirname "$0")/common.sh"
PATH=/usr/sbin:$PATH
need munged slurmctld slurmd sbatch scontrol
[ "$(id -u)" = 0 ] || { echo "skipped: only root may start slurmd"; exit 77; }
array=$(cd "$(dirname "$0")/../../apps/clr/cluster" && pwd)/clr_array.sbatch
export SLURM_CONF=$top/slurm.conf
port=$((20000 + $$ % 20000))

end() {
  scancel --user=root 2>/dev/null
  sleep 1
  for file in "$top"/*.pid; do kill "$(cat "$file")" 2>/dev/null; done
  sleep 2
  rm -rf "$top"
}
trap end EXIT

start_slurm() {
  mkdir "$top/munge" "$top/state"
  chmod 711 "$top" "$top/munge"
  (umask 077 && head -c 1024 /dev/urandom >"$top/munge/key")
  {
    echo "ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort=$port
SlurmUser=root
SlurmdUser=root
AuthInfo=socket=$top/munge/socket
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation=$top/state
SlurmdSpoolDir=$top/spool.%n
SlurmctldPidFile=$top/slurmctld.pid
SlurmdPidFile=$top/slurmd.%n.pid
SlurmctldLogFile=$top/slurmctld.log
SlurmdLogFile=$top/slurmd.%n.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=sched_interval=5,bf_interval=5,batch_sched_delay=1
ReturnToService=2
KillWait=15"
    for i in 1 2 3; do
      mkdir "$top/spool.n$i"
      echo "NodeName=n$i NodeHostname=$(hostname) NodeAddr=127.0.0.1 Port=$((port + i)) CPUs=1 RealMemory=2000"
    done
    echo "PartitionName=all Nodes=ALL Default=YES MaxTime=60 State=UP"
  } >"$SLURM_CONF"
  munged --key-file="$top/munge/key" --socket="$top/munge/socket" --pid-file="$top/munge.pid" \
    --log-file="$top/munge/log" --seed-file="$top/munge/seed"
  slurmctld -i
  for i in 1 2 3; do slurmd -N "n$i"; done
  for _ in $(seq 60); do
    [ "$(sinfo -h -t idle -o %D 2>/dev/null)" = 3 ] && return
    sleep 0.5
  done
  echo "skipped: Slurm does not start here"
  tail -5 "$top"/*.log
  exit 77
}

submit() { # RUN [OPTION of sbatch…]: prints the job's number
  local run=$1
  shift
  CLR=$clr BACKBONE=$top/backbone.safetensors DATA=$top/data RUN=$top/$run OPTIONS=$options \
    sbatch --parsable --array=0-2 --cpus-per-task=1 --mem=500 --time=10 --output="$top/$run-%a.log" "$@" "$array"
}
# Waits until no job is left. A job that was put back may start at once, and no longer has its limit.
drain() {
  for _ in $(seq 300); do
    jobs=$(squeue -h -o %A)
    [ -z "$jobs" ] && return
    for job in $(squeue -h -t PENDING -o '%A %r' | grep -E 'BeginTime|held' | cut -d' ' -f1); do
      scontrol update JobId="$job" TimeLimit=10 StartTime=now 2>/dev/null
      scontrol release "$job" 2>/dev/null # Slurm holds what it could not start
    done
    sleep 1
  done
  fail "jobs are left: $(squeue -h)"
}
began() { # RUN: waits until three tasks have been begun
  for _ in $(seq 60); do
    [ "$(ls "$top/$1/log" 2>/dev/null | grep -c 'process-')" -ge 3 ] && sleep 3 && return
    sleep 0.5
  done
  fail "$1: did not begin"
}

prepare 12
start_slurm

submit undisturbed >/dev/null
drain
same_bytes undisturbed

# Slurm looks at time limits every half minute: this training takes longer.
short=$options
options="$options --tasks 01-shapes --epochs 90 --patience 90 --batch 4"
options=${options/--epochs 12/}
learn long
submit limited --array=0-0 --time=1 --signal=TERM@55 >/dev/null
drain
same_bytes limited long
options=$short
grep -q '"signal": "SIGTERM"' "$top"/limited/log/process-*.json || fail "limited: nobody was stopped by the limit"

job=$(submit cancelled)
began cancelled
scancel "$job"
drain
[ -n "$(ls "$top/cancelled/state")" ] || fail "cancelled: nothing was saved"
submit cancelled >/dev/null
drain
same_bytes cancelled

submit down >/dev/null
began down
scontrol update NodeName=n1 State=DOWN Reason=test
drain
same_bytes down
exit $failed
