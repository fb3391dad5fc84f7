#!/usr/bin/env bash
# Prints how many jobs may run side by side: one per core that this process may use (its affinity and its cgroup's quota), and,
# with an argument, no more than fit into the memory that is left (the machine's and its cgroup's) at MB megabytes each.
#
#   tools/jobs.sh [MB]
set -euo pipefail
cgroups=${VITRINE_CGROUPS:-/sys/fs/cgroup}  # elsewhere in tests

number() { [[ $1 =~ ^[0-9]+$ ]]; }
lower() { if number "$2" && [ "$2" -lt "$1" ]; then echo "$2"; else echo "$1"; fi; }
content() { if [ -r "$1" ]; then cat "$1"; fi; }

# nproc would take OMP_NUM_THREADS, which is about one process's threads, for the machine's cores.
cores=$(env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc)
memory=$(awk '/^MemAvailable/ {print int($2 / 1024)}' /proc/meminfo 2>/dev/null || true)
memory=${memory:-1000000}

quota() { if number "$1" && number "$2" && [ "$2" -gt 0 ]; then cores=$(lower "$cores" $((($1 + $2 - 1) / $2))); fi; }
# A limit of this many bytes, of which some are in use; file pages among them can be dropped.
limit() {
  local used=$2 droppable=$3
  if number "$1" && [ ${#1} -lt 18 ]; then
    number "$used" || used=0
    number "$droppable" || droppable=0
    memory=$(lower "$memory" $((($1 - used + droppable) / 1048576)))
  fi
}

# cgroup v2: the limits of the process's own group and of all above it.
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
