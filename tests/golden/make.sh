#!/usr/bin/env bash
# Regenerates the golden files and their table in README.md. Only for a change of the format, since these files guard backward
# compatibility. Needs a build of make_golden (tools/build.sh make_golden).
set -euo pipefail
cd "$(dirname "$0")"
rm -rf ./*.h5 ./*.json cache images
rows=$("${1:-../../build/bin/make_golden}" .)
{ sed '/^| `/d' README.md; printf '%s\n' "$rows"; } >README.new
mv README.new README.md
