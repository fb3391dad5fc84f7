#!/usr/bin/env bash
# Tests and benchmarks Vitrine on a machine with a GPU in less than eight minutes. The machine needs bash and a Python 3 with
# torch 2.11 (CUDA 13); nothing is built or installed on it.
#
#   tools/gpu_check.sh bundle DIR [BUILD]      here: packs programs, tests and libraries of BUILD (build) into DIR and DIR.tar.gz
#   DIR/gpu_check.sh run DIR [--device cuda]   there: runs all checks, each with a time limit; prints a line per check and a
#                                              table; files in DIR/results. Another Python: PYTHON=/path/to/python3
#
# DIR/results/results.json is complete after each step, so a killed run loses nothing; `--json FILE` also writes it to FILE.
# `--device cpu` runs everything without a GPU, on smaller models and with five times the time; `--only REGEX` selects steps by
# name; `--total SECONDS` and `--limit SECONDS` set the time limits of all steps (470) and of each.
# Exit code 1: a step failed, timed out or was skipped for lack of time.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
tests=(normalise_gpu_test models_gpu_test teacher_test extract_test trainer_test method_test cache_teacher_test)
parts=(libsignal_at.so)  # that tests load themselves

fail() { printf 'gpu_check: %s\n' "$*" >&2; exit 2; }

bundle() {
  local dir=${1%/} build=${2:-$here/../build} test name program filter entries='' words=()
  for test in "${tests[@]}"; do
    while read -r name program filter; do
      if [ "$name" = "$test" ]; then break; fi
    done <"$build/tests/entries"
    [ "$name" = "$test" ] || fail "$build/tests/entries has no $test; configure the build again"
    entries+="$name $program $filter"$'\n'
    words+=(--with "$program")
  done
  for name in "${parts[@]}"; do words+=(--with "$name"); done
  bash "$here/bundle.sh" "$dir" "$build" "${words[@]}" --no-archive
  printf '%s' "$entries" >"$dir/tests"  # of each test its program, which others may share, and what selects its cases
  cp "$here/gpu_check.sh" "$here/gpu_check.py" "$dir/"
  tar -C "$(dirname "$dir")" -czf "$dir.tar.gz" "$(basename "$dir")"
  printf 'gpu_check: %s: %s, packed %s.tar.gz: %s; run there: bash %s/gpu_check.sh run %s\n' \
    "$dir" "$(du -sh "$dir" | cut -f1)" "$dir" "$(du -sh "$dir.tar.gz" | cut -f1)" "$dir" "$dir"
}

# --- the steps, each a separate command with a time limit --------------------------------------------------------------------
# Each writes its figures, one "key value" per line, to $RESULTS/NAME.figures.

# The bundle's libraries are only for its programs: Python has others of the same names.
in_bundle() {
  local callers=${LD_LIBRARY_PATH-}
  VITRINE_CALLER_LD_LIBRARY_PATH=$callers LD_LIBRARY_PATH="$LIBRARIES${callers:+:$callers}" "$@"
}

figure() { printf '%s %s\n' "$1" "$2" >>"$RESULTS/$STEP.figures"; }

driver() {
  local file lost
  for file in "$ROOT"/bin/*; do
    lost=$(in_bundle ldd "$file" | grep -E 'not found' || true)  # a version of the C library's too
    [ -z "$lost" ] || { printf 'error: %s: %s\n' "$file" "$lost"; return 1; }
  done
  if [ "$DEVICE" != cpu ]; then
    nvidia-smi --query-gpu=index,name,driver_version,memory.total,compute_mode --format=csv || true
  fi
  "$PYTHON" "$ROOT/gpu_check.py" driver "$RESULTS/driver.figures" "$DEVICE"
}

doctests() {  # TEST
  local words code=0
  read -ra words < <(grep "^$1 " "$ROOT/tests")
  in_bundle "$ROOT/bin/${words[1]}" "${words[@]:2}" --no-colors=true | tee "$RESULTS/$STEP.out" || code=$?
  figure cases "$(sed -n 's/.*test cases: *\([0-9]*\).*/\1/p' "$RESULTS/$STEP.out")"
  return $code
}

prepare() { "$PYTHON" "$ROOT/gpu_check.py" prepare "$RESULTS/data" "$IMAGES" "$DEVICE"; }

extract_config() {  # CACHE
  cat <<TOML
images = '$RESULTS/data/images'
cache = '$1'
check_images = 0
[teacher]
name = 'tiny'
weights = '$RESULTS/data/tiny.safetensors'
device = '$DEVICE'
micro_batch = 8
arch = 'vit_tiny_patch16_224'
[taps]
features = [-1]
attention = [-1]
calibration_views = 32
[plan]
group = 16
shard_groups = $((IMAGES / 32))
image_size = 224
TOML
}

extraction() {  # a pass of a small teacher in two shards, twice, to the byte
  local cache
  for cache in first second; do
    extract_config "$RESULTS/$cache" >"$RESULTS/$cache.toml"
    in_bundle "$ROOT/bin/vitrine-extract" "$RESULTS/$cache.toml"
  done
  diff -r "$RESULTS/first" "$RESULTS/second"
  figure shards "$(find "$RESULTS/first" -path '*/logits/*.h5' | wc -l)"
}

verify_deep() {  # DEVICE
  in_bundle "$ROOT/bin/vitrine-cache" verify "$RESULTS/first" --deep 32 --images "$RESULTS/data/images" \
    --weights "$RESULTS/data/tiny.safetensors" --device "$1"
}

train_config() {  # OUTPUT PRECISION
  cat <<TOML
images = '$RESULTS/data/images'
output = '$1'
device = '$DEVICE'
precision = '$2'
deterministic = true
batch = $((IMAGES / 4))
size = $([ "$DEVICE" = cpu ] && echo 32 || echo 64)
log_every = 1
[model]
arch = 'resnet18'
width = $([ "$DEVICE" = cpu ] && echo 8 || echo 64)
[targets]
source = 'cache'
cache = '$RESULTS/first'
features = 'features.11'
attention = 'attention.11'
[schedule]
align = { epochs = 1 }
joint = { epochs = 3, lr = 0.01 }
fine_tune = { epochs = 1, lr = 0.001 }
TOML
}

training() {  # PRECISION: twenty steps at once, and in two halves; deterministic, so to the bit
  local run
  for run in whole halves; do train_config "$RESULTS/$1-$run" "$1" >"$RESULTS/$1-$run.toml"; done
  in_bundle "$ROOT/bin/vitrine-train" "$RESULTS/$1-whole.toml"
  in_bundle "$ROOT/bin/vitrine-train" "$RESULTS/$1-halves.toml" --set max_steps=10
  in_bundle "$ROOT/bin/vitrine-train" "$RESULTS/$1-halves.toml" --set max_steps=0
  "$PYTHON" "$ROOT/gpu_check.py" losses "$RESULTS/$STEP.figures" "$RESULTS/$1-whole/metrics.csv"
  cmp "$RESULTS/$1-whole/exported/last.safetensors" "$RESULTS/$1-halves/exported/last.safetensors"
}

memory() {  # another program leaves the GPU hardly any memory: one sentence, exit code 6. On the CPU: a group too large for it
  local holder code=0
  if [ "$DEVICE" = cpu ]; then
    extract_config "$RESULTS/memory" | sed "s/^group = 16/group = 28000/
      s/^features = .*/features = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]\nfeatures_encoding = 'fp32'/" >"$RESULTS/memory.toml"
    in_bundle "$ROOT/bin/vitrine-extract" "$RESULTS/memory.toml" >"$RESULTS/memory.out" 2>&1 || code=$?
    told_of_memory "$code" "extraction needs about .* of memory"
    return
  fi
  "$PYTHON" "$ROOT/gpu_check.py" hold "$RESULTS/held" &
  holder=$!
  for _ in $(seq 100); do [ -e "$RESULTS/held" ] && break; sleep 0.2; done
  extract_config "$RESULTS/memory" | large vit_base_patch16_224 fp32 64 >"$RESULTS/memory.toml"
  in_bundle "$ROOT/bin/vitrine-extract" "$RESULTS/memory.toml" --set taps.features=[] --set taps.attention=[] \
    >"$RESULTS/memory.out" 2>&1 || code=$?
  kill "$holder" || true
  told_of_memory "$code" "does not fit into the memory of the GPU|its memory is full"
}

told_of_memory() {  # EXIT_CODE REGEX
  tail -n 3 "$RESULTS/memory.out"
  figure exit_code "$1"
  [ "$1" -eq 6 ] && grep -qE "$2" "$RESULTS/memory.out"
}

hidden() {  # the error names a CUDA_VISIBLE_DEVICES that hides the GPUs, or a missing driver
  local code=0
  extract_config "$RESULTS/hidden" | sed "s/^device = .*/device = 'cuda'/" >"$RESULTS/hidden.toml"
  CUDA_VISIBLE_DEVICES="" in_bundle "$ROOT/bin/vitrine-extract" "$RESULTS/hidden.toml" >"$RESULTS/hidden.out" 2>&1 || code=$?
  tail -n 1 "$RESULTS/hidden.out"
  [ "$code" -eq 2 ] || return 1
  if [ "$DEVICE" = cpu ] && grep -q "there is no NVIDIA driver" "$RESULTS/hidden.out"; then return 0; fi
  grep -q 'CUDA_VISIBLE_DEVICES = "" hides every GPU' "$RESULTS/hidden.out"
}

large() {  # ARCH PRECISION MICRO_BATCH: that teacher in place of the small one, in groups of 64 views
  sed "s/vit_tiny_patch16_224/$1/; s/tiny.safetensors/$1.safetensors/; s/^group = 16/group = 64/;
    s/^shard_groups = .*/shard_groups = 1/; s/^micro_batch = 8/micro_batch = $3\nprecision = '$2'/"
}

rate_extraction() {  # the second command finds all work done, so its time is the overhead
  local views=$1 arch=$2 precision=$3 batch=$4 start middle end
  extract_config "$RESULTS/rate" | large "$arch" "$precision" "$batch" >"$RESULTS/rate.toml"
  in_bundle "$ROOT/bin/vitrine-extract" "$RESULTS/rate.toml"  # the basis, and a first pass
  start=$(date +%s.%N)
  in_bundle "$ROOT/bin/vitrine-extract" "$RESULTS/rate.toml" --set first_pass=1 --set passes=$((views / IMAGES))
  middle=$(date +%s.%N)
  in_bundle "$ROOT/bin/vitrine-extract" "$RESULTS/rate.toml" --set first_pass=1 --set passes=$((views / IMAGES))
  end=$(date +%s.%N)
  "$PYTHON" "$ROOT/gpu_check.py" rate "$RESULTS/$STEP.figures" "$views" "$start" "$middle" "$end"
  "$PYTHON" "$ROOT/gpu_check.py" peer "$RESULTS/$STEP.figures" "$DEVICE" "$arch" "$precision" "$batch" || true
}

rate_training() {
  local arch=$1 precision=$2 batch=$3 epochs=$4 size=$5
  train_config "$RESULTS/rate-train" "$precision" | sed "s/resnet18/$arch/; s/^batch = .*/batch = $batch/; s/^size = .*/size = $size/
    s/^deterministic = true/deterministic = false/; /^\[targets\]/,\$d" >"$RESULTS/rate-train.toml"
  cat >>"$RESULTS/rate-train.toml" <<TOML
[targets]
source = 'none'
[plan]
group = $((batch < 64 ? batch : 64))
image_size = 224
[schedule]
align = { epochs = 0 }
joint = { epochs = $epochs, lr = 0.01 }
fine_tune = { epochs = 0 }
TOML
  in_bundle "$ROOT/bin/vitrine-train" "$RESULTS/rate-train.toml"
  "$PYTHON" "$ROOT/gpu_check.py" train-rate "$RESULTS/$STEP.figures" "$RESULTS/rate-train/metrics.csv" "$batch"
  "$PYTHON" "$ROOT/gpu_check.py" peer "$RESULTS/$STEP.figures" "$DEVICE" "$arch" "$precision" "$batch" "$size" || true
}

# --- the run ----------------------------------------------------------------------------------------------------------------

total=470  # seconds; a step ends by then, and one that could not begin is left out
slower=1   # a rehearsal on the CPU has as many times the time
longest=   # seconds, of any step; empty: each has its own limit
only=.     # names of the steps to run, an extended regular expression
JSON=      # another place for the results
running=   # the process of the step at work

step() {  # NAME LIMIT FUNCTION [ARGUMENT...]
  local name=$1 limit=$(($2 * slower)) left=$((total - SECONDS)) code=0 start
  shift 2
  [[ $name =~ $only ]] || return 0
  export STEP=$name
  [ -z "$longest" ] || limit=$longest
  [ "$limit" -le "$left" ] || limit=$left
  start=$(date +%s.%N)
  if [ "$limit" -lt 1 ]; then
    code=-1
  else
    # In the background, so that a signal to this shell ends the step at once.
    timeout -k 5 "$limit" bash "$ROOT/gpu_check.sh" step "$@" >"$RESULTS/$name.log" 2>&1 </dev/null &
    running=$!
    wait "$running" || code=$?
    # Killed from outside, for instance when memory runs out.
    if [ "$code" -eq 137 ] && [ $((total - SECONDS)) -gt $((left - limit)) ]; then code=128; fi
  fi
  "$PYTHON" "$ROOT/gpu_check.py" record "$RESULTS" "$name" "$code" "$start" "$SECONDS" "$JSON" ||
    printf 'gpu_check: what %s gave (exit code %s) could not be written down\n' "$name" "$code"
}

run() {
  ROOT=$(cd "$1" && pwd)
  shift
  local given=
  DEVICE=cuda
  while [ $# -gt 0 ]; do
    case $1 in
      --device) DEVICE=${2:?--device needs cpu or cuda}; shift 2 ;;
      --only) only=${2:?--only needs a regular expression}; shift 2 ;;
      --json) JSON=${2:?--json needs a file}; shift 2 ;;
      --total) given=${2:?--total needs seconds}; shift 2 ;;
      --limit) longest=${2:?--limit needs seconds}; shift 2 ;;
      *) fail "$1 is not known; expected --device, --only, --json, --total or --limit" ;;
    esac
  done
  IMAGES=256
  [ "$DEVICE" != cpu ] || { IMAGES=64; slower=5; }
  total=${given:-$((total * slower))}
  RESULTS=$ROOT/results
  if [ -e "$RESULTS" ]; then
    local old=1
    while [ -e "$RESULTS.$old" ]; do old=$((old + 1)); done
    mv "$RESULTS" "$RESULTS.$old"
  fi
  mkdir -p "$RESULTS"
  PYTHON=${PYTHON:-$(command -v python3 || true)}
  [ -n "$PYTHON" ] || fail "there is no python3; set PYTHON to one that has torch 2.11"
  LIBRARIES=$(PYTHON=$PYTHON sh "$ROOT/libraries.sh") || exit 2
  export ROOT RESULTS DEVICE IMAGES PYTHON LIBRARIES
  export VITRINE_BIN=$ROOT/bin VITRINE_TEST_DEVICE=$DEVICE CUBLAS_WORKSPACE_CONFIG=:4096:8 OMP_NUM_THREADS=1
  # However it ends, print the table of the finished steps.
  trap '"$PYTHON" "$ROOT/gpu_check.py" table "$RESULTS" || exit 1' EXIT
  trap 'kill "$running" 2>/dev/null; exit 1' INT TERM HUP
  local test precision
  step driver 60 driver
  for test in normalise_gpu_test models_gpu_test teacher_test; do step "$test" 60 doctests "$test"; done
  step prepare 60 prepare
  step extraction_twice 60 extraction
  step "deep_verify_$DEVICE" 40 verify_deep "$DEVICE"
  [ "$DEVICE" = cpu ] || step deep_verify_cpu 40 verify_deep cpu
  for precision in fp32 bf16 fp16 tf32; do step "train_$precision" 60 training "$precision"; done
  step out_of_memory 45 memory
  step hidden_gpu 20 hidden
  if [ "$DEVICE" != cpu ]; then
    step rate_vit_base_extraction 75 rate_extraction 2048 vit_base_patch16_224 bf16 64
    step rate_resnet50_training 75 rate_training resnet50 bf16 256 60 224
  else
    step rate_vit_tiny_extraction 90 rate_extraction 64 vit_tiny_patch16_224 fp32 16
    step rate_resnet18_training 60 rate_training resnet18 fp32 32 3 32
  fi
  for test in extract_test trainer_test cache_teacher_test method_test; do step "$test" 90 doctests "$test"; done
}

case ${1:-} in
  bundle) [ $# -ge 2 ] || fail "bundle needs a directory"; bundle "${@:2}" ;;
  run) [ $# -ge 2 ] || fail "run needs the bundle's directory"; run "${@:2}" ;;
  step) "${@:2}" ;;
  *) sed -n '2,14s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
