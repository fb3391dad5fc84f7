#!/usr/bin/env bash
# Builds into build/ (executables in build/bin). Arguments are targets: tools/build.sh vitrine-extract. Needs tools/setup.sh once.
# If the output is not a terminal, prints only errors; the full log is build/build.log. Exit codes: 0, or 2 on failure.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p build || exit 2
log=build/build.log
# In continuous integration warnings are errors: there the compiler is known.
cmake --preset default ${CI:+-DVITRINE_WERROR=ON} >"$log" 2>&1 || { cat "$log" >&2; echo "build: cmake could not configure; the lines above say why" >&2; exit 2; }
# Compiling a file that includes LibTorch takes more than a gigabyte, so memory limits the number of jobs.
command=(cmake --build build -j "$(tools/jobs.sh 1600)" ${1:+--target "$@"})
if [ -t 1 ]; then "${command[@]}" || exit 2; exit 0; fi
"${command[@]}" >"$log" 2>&1 || {
  lines=$(awk '/error|FAILED|undefined|[Kk]illed/ { left = 5 } left-- > 0 && ++shown <= 400' "$log")
  if [ -n "$lines" ]; then printf '%s\n' "$lines"; else tail -n 40 "$log"; fi >&2
  echo "build: failed; all of the output is in $log" >&2
  exit 2
}
tail -n 1 "$log"
