#!/usr/bin/env bash
# Prints how many jobs may run in parallel: one per core available to this process (by affinity and cgroup quota), and, with an
# argument, at most as many as fit into the available memory (of the machine and the cgroup) at MB megabytes each.
#
#   tools/jobs.sh [MB]
set -euo pipefail
cgroups=${VITRINE_CGROUPS:-/sys/fs/cgroup}  # elsewhere in tests

number() { [[ $1 =~ ^[0-9]+$ ]]; }
lower() { if number "$2" && [ "$2" -lt "$1" ]; then echo "$2"; else echo "$1"; fi; }
content() { if [ -r "$1" ]; then cat "$1"; fi; }

# nproc would use OMP_NUM_THREADS, which limits one process's threads, as the number of cores.
cores=$(env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc)
memory=$(awk '/^MemAvailable/ {print int($2 / 1024)}' /proc/meminfo 2>/dev/null || true)
memory=${memory:-1000000}

quota() { if number "$1" && number "$2" && [ "$2" -gt 0 ]; then cores=$(lower "$cores" $((($1 + $2 - 1) / $2))); fi; }
# Applies a limit of this many bytes, some of them in use; file pages in use can be dropped.
limit() {
  local used=$2 droppable=$3
  if number "$1" && [ ${#1} -lt 18 ]; then
    number "$used" || used=0
    number "$droppable" || droppable=0
    memory=$(lower "$memory" $((($1 - used + droppable) / 1048576)))
  fi
}

# cgroup v2: the limits of the process's group and of its ancestors.
path=$(content /proc/self/cgroup | sed -n 's/^0:://p')
while :; do
  group=$cgroups${path%/}
  read -r max period <<<"$(content "$group/cpu.max")" || true
  quota "${max:-}" "${period:-}"
  limit "$(content "$group/memory.max")" "$(content "$group/memory.current")" \
    "$(content "$group/memory.stat" | awk '$1 == "inactive_file" {print $2}')"
  [ -n "${path%/}" ] || break
  path=${path%/*}
done
# cgroup v1, as a container sees it.
quota "$(content "$cgroups/cpu/cpu.cfs_quota_us")" "$(content "$cgroups/cpu/cpu.cfs_period_us")"
limit "$(content "$cgroups/memory/memory.limit_in_bytes")" "$(content "$cgroups/memory/memory.usage_in_bytes")" \
  "$(content "$cgroups/memory/memory.stat" | awk '$1 == "total_inactive_file" {print $2}')"

jobs=$cores
if [ $# -gt 0 ]; then jobs=$(lower "$jobs" $((memory / $1))); fi
echo $((jobs > 1 ? jobs : 1))
