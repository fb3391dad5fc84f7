#!/usr/bin/env bash
# Trains the demo's students with several seeds from the teacher and cache of tools/demo.sh: mean and standard deviation.
#
#   tools/scripts/demo_seeds.sh [SEEDS]      SEEDS: how many; default 3. Skips runs that have a summary.
set -euo pipefail
cd "$(dirname "$0")/../.."
seeds=${1:-3}
jobs_of() {
  for seed in $(seq 0 $((seeds - 1))); do
    for kind in plain kl full; do
      [ -f "demo/students/$kind-$seed/summary.json" ] || echo "$kind $kind-$seed --set seed=$seed"
    done
  done
}
jobs_of | xargs -r -P "$(tools/jobs.sh)" -L 1 tools/scripts/demo_student.sh
.venv/bin/python tools/scripts/demo_table.py demo --seeds "$seeds"
