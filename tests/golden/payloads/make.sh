#!/usr/bin/env bash
# Regenerates the golden payloads and their table in README.md. Only for a change of the payload's version.
# Needs a build of make_payloads (tools/build.sh make_payloads).
set -euo pipefail
cd "$(dirname "$0")"
rm -f ./*.h5 ./*.payload
rows=$("${1:-../../../build/bin/make_payloads}" .)
{ sed '/^| `/d' README.md; printf '%s\n' "$rows"; } >README.new
mv README.new README.md
