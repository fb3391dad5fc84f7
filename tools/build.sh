#!/usr/bin/env bash
# Builds into build/ (executables in build/bin). Arguments are targets: tools/build.sh vitrine-extract. Needs tools/setup.sh once.
set -euo pipefail
cd "$(dirname "$0")/.."
log=$(mktemp); trap 'rm -f "$log"' EXIT
cmake --preset default >"$log" 2>&1 || { cat "$log" >&2; echo "build: cmake could not configure; the lines above say why" >&2; exit 2; }
# A file that sees LibTorch takes more than a gigabyte to compile: no more of them at once than fit into memory.
memory=$(awk '/MemAvailable/ {print int($2 / 1600000)}' /proc/meminfo)
jobs=$(nproc); [ "$memory" -ge "$jobs" ] || jobs=$((memory > 1 ? memory : 1))
if [ -t 1 ]; then exec cmake --build build -j "$jobs" ${1:+--target "$@"}; fi
cmake --build build -j "$jobs" ${1:+--target "$@"} >"$log" 2>&1 || { grep -E 'error|FAILED|undefined' -A4 "$log" | head -80 >&2; exit 2; }
tail -n 1 "$log"
