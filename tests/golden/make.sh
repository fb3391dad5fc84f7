#!/usr/bin/env bash
# Makes the golden files anew and puts their table into README.md: when the format changes, and not otherwise, since these files
# prove that caches of today are read tomorrow. Needs a build of make_golden (tools/build.sh make_golden).
set -euo pipefail
cd "$(dirname "$0")"
rm -rf ./*.h5 ./*.json cache images
rows=$("${1:-../../build/bin/make_golden}" .)
{ sed '/^| `/d' README.md; printf '%s\n' "$rows"; } >README.new
mv README.new README.md
