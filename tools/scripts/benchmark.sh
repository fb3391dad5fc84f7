#!/usr/bin/env bash
# Measures how much each ResNet gains by learning from the cache. Trains every network twice, from labels only (original) and by
# CONFIG's method (distilled), with equally long phases of the student, prints a table and writes it to RUNS/benchmark.csv. Skips
# runs that have a summary.
#
#   tools/scripts/benchmark.sh [--runs RUNS] [--jobs N] [--original 'SETTINGS'] CONFIG.toml [ARCH]... [--set key=value]...
#
# CONFIG      of vitrine-train, with a cache and with test or validation images
# ARCH        resnet18, 34, 50, 101, 152; default: resnet50 resnet101 resnet152
# --original  settings of the original only, for its best rate and augmentation: '--set schedule.joint.lr=0.1 --set plan.mix_probability=0';
#             its views are otherwise those of the cache's plan
# --runs      output directory of the runs; default: runs/benchmark
# --jobs      networks trained at once; default: 1
#
# The programs are in VITRINE_BIN, by default build/bin; the table is made by PYTHON, by default .venv/bin/python.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
bin=${VITRINE_BIN:-$root/build/bin} python=${PYTHON:-$root/.venv/bin/python}
usage() { sed -n '2,/^set /p' "$0" | grep '^#' | cut -c3- >&2; exit 2; }

runs=runs/benchmark jobs=1 original=() config='' networks=() both=()
while [ $# -gt 0 ]; do
  case $1 in
    --runs) runs=$2; shift 2 ;;
    --jobs) jobs=$2; shift 2 ;;
    --original) read -ra original <<<"$2"; shift 2 ;;
    --set) both+=(--set "$2"); shift 2 ;;
    resnet*) networks+=("$1"); shift ;;
    -*) usage ;;
    *) [ -z "$config" ] || usage
       config=$1; shift ;;
  esac
done
[ -n "$config" ] || usage
[ -f "$config" ] || { echo "benchmark.sh: $config: does not exist; expected a configuration of vitrine-train" >&2; exit 2; }
[ ${#networks[@]} -gt 0 ] || networks=(resnet50 resnet101 resnet152)
mkdir -p "$runs"

train() {  # NAME ARCH SETTINGS...
  local name=$1 arch=$2
  shift 2
  [ -f "$runs/$name/summary.json" ] && return
  "$bin/vitrine-train" "$config" "${both[@]}" --set "model.arch=$arch" --set "output=$runs/$name" "$@" >>"$runs/$name.log" 2>&1 || {
    tail -n 5 "$runs/$name.log" >&2
    echo "benchmark.sh: $name failed; all of its output is in $runs/$name.log" >&2
    return 2
  }
}
failed=0 running=0
wait_one() { wait -n || failed=2; running=$((running - 1)); }
for arch in "${networks[@]}"; do
  for kind in original distilled; do
    settings=()
    [ $kind = distilled ] || settings=(--set targets.source=none --set targets.features= --set targets.attention= --set schedule.align.epochs=0 "${original[@]}")
    [ "$running" -lt "$jobs" ] || wait_one
    train "$arch-$kind" "$arch" "${settings[@]}" &
    running=$((running + 1))
  done
done
while [ "$running" -gt 0 ]; do wait_one; done
[ "$failed" = 0 ] || exit "$failed"
"$python" "$root/tools/scripts/benchmark_table.py" "$runs" "${networks[@]}"
