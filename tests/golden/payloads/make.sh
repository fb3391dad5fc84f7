#!/usr/bin/env bash
# Makes the golden payloads and payloads.tsv anew: when the payload's version changes, and not otherwise.
# Needs a build of make_payloads (tools/build.sh make_payloads).
set -euo pipefail
cd "$(dirname "$0")"
rm -f ./*.h5 ./*.payload
"${1:-../../../build/bin/make_payloads}" . >payloads.tsv
