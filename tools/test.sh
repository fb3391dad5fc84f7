#!/usr/bin/env bash
# Installs missing dependencies, builds everything and runs all tests. Arguments go to ctest: tools/test.sh -R plan
set -euo pipefail
cd "$(dirname "$0")/.."
tools/setup.sh
tools/build.sh
# Runs as many tests in parallel as there are cores; each uses one or two threads.
ctest --test-dir build --output-on-failure -j "$(tools/jobs.sh)" "$@"
