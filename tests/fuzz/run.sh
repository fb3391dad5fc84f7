#!/usr/bin/env bash
# run.sh SECONDS [TARGET...]: fuzzes each target (default: all) for SECONDS, one after the other, from its corpus, seeds and inputs, and
# prints a line for each. Exit code 1 if a failing input was found. Needs
# `cmake --preset fuzz && cmake --build --preset fuzz`; VITRINE_FUZZ_BUILD names another build folder.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
build=${VITRINE_FUZZ_BUILD:-$here/../../build-fuzz}
[ $# -ge 1 ] || { sed -n '2,4s/^# //p' "$0"; exit 2; }
seconds=$1; shift
[ $# -ge 1 ] || set -- payload encodings container chunks records run_files report image safetensors torch_file numpy_archive card pack
"$build/bin/fuzz_seeds" "$build/fuzz_seeds"
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=0} UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
worst=0
for target; do
  work=$build/fuzz/$target; mkdir -p "$work/corpus" "$work/crashes"
  corpora=("$work/corpus" "$build/fuzz_seeds/$target")
  [ ! -d "$here/inputs/$target" ] || corpora+=("$here/inputs/$target")
  found=$(date +%s); rc=0
  "$build/bin/fuzz_$target" -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=60 -use_value_profile=1 \
    -artifact_prefix="$work/crashes/" "${corpora[@]}" >"$work/log" 2>&1 || rc=$?
  found=$(find "$work/crashes" -type f -newermt "@$found" | wc -l)
  printf '%-12s %s; inputs found: %s; %s\n' "$target" "$(grep -E '^#[0-9]+' "$work/log" | tail -1 | tr '\t' ' ')" "$found" "$work/log"
  [ "$rc" = 0 ] || worst=1
done
exit $worst
