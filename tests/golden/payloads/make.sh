#!/usr/bin/env bash
# Makes the golden payloads anew and puts their table into README.md: when the payload's version changes, and not otherwise.
# Needs a build of make_payloads (tools/build.sh make_payloads).
set -euo pipefail
cd "$(dirname "$0")"
rm -f ./*.h5 ./*.payload
rows=$("${1:-../../../build/bin/make_payloads}" .)
{ sed '/^| `/d' README.md; printf '%s\n' "$rows"; } >README.new
mv README.new README.md
