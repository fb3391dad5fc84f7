#!/usr/bin/env bash
# Installs what is missing, builds everything and runs every test. Arguments go to ctest: tools/test.sh -R plan
set -euo pipefail
cd "$(dirname "$0")/.."
tools/setup.sh
tools/build.sh
# As many tests side by side as there are cores; each uses one or two threads.
ctest --test-dir build --output-on-failure -j "$(tools/jobs.sh)" "$@"
