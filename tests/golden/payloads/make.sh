#!/usr/bin/env bash
# Regenerates the golden payloads and payloads.tsv. Only for a change of the payload's version.
# Needs a build of make_payloads (tools/build.sh make_payloads).
set -euo pipefail
cd "$(dirname "$0")"
rm -f ./*.h5 ./*.payload
"${1:-../../../build/bin/make_payloads}" . >payloads.tsv
