#!/usr/bin/env bash
# Shows on a machine with a GPU, in less than eight minutes, that Vitrine is right and how fast it is there. Such a machine
# needs bash and a Python 3 with torch 2.11 (CUDA 13): nothing is built or installed on it.
#
#   tools/gpu_check.sh bundle DIR [BUILD]      here: puts programs, tests and libraries of BUILD (build) into DIR
#   DIR/gpu_check.sh run DIR [--device cuda]   there: runs all checks, each within its own time; a table on the screen, files
#                                              and results.json in DIR/results. Another Python: PYTHON=/path/to/python3
#
# `--device cpu` rehearses it without a GPU, on smaller models and with more time; `--only REGEX` runs the steps of that name.
# Exit code 1: something failed.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
programs=(vitrine-extract vitrine-train vitrine-cache)
tests=(normalise_gpu_test models_gpu_test teacher_test extract_test trainer_test recipe_test cache_teacher_test)

fail() { printf 'gpu_check: %s\n' "$*" >&2; exit 2; }

bundle() {
  local dir=$1 build=${2:-$here/../build} name library
  mkdir -p "$dir/bin" "$dir/lib" "$dir/compiler"
  for name in "${programs[@]}" "${tests[@]}" libvitrine_cuda.so; do
    [ -e "$build/bin/$name" ] || fail "$build/bin/$name is not there; build everything first (tools/build.sh)"
    cp "$build/bin/$name" "$dir/bin/"
  done
  # What the programs link, without LibTorch and CUDA, which the other machine's Python has, and without the C library.
  for name in "${programs[@]}" "${tests[@]}"; do ldd "$build/bin/$name"; done |
    awk '$2 == "=>" && $3 ~ /^\// {print $3}' | sort -u | while read -r library; do
    case $(basename "$library") in
      libtorch* | libc10* | libgomp* | libcuda* | libcud* | libcublas* | libcupti* | libcufft* | libcurand* | libcusolver* | \
        libcusparse* | libcufile* | libnv* | libnccl* | ld-linux* | libc.so* | libm.so* | libdl.so* | librt.so* | \
        libpthread.so* | libresolv.so* | libutil.so*) ;;
      libstdc++* | libgcc_s*) cp -L "$library" "$dir/compiler/" ;;  # used where the machine's own are older
      *) cp -L "$library" "$dir/lib/" ;;
    esac
  done
  cp "$here/gpu_check.sh" "$here/gpu_check.py" "$dir/"
  printf 'gpu_check: %s: %s; run there: bash %s/gpu_check.sh run %s\n' "$dir" "$(du -sh "$dir" | cut -f1)" "$dir" "$dir"
}

# --- the steps, each a command of its own with a time limit ------------------------------------------------------------------
# Each leaves its figures, one "key value" a line, in $RESULTS/NAME.figures.

# The bundle's libraries are for its own programs: Python has others of the same names.
in_bundle() { LD_LIBRARY_PATH="$LIBRARIES${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" "$@"; }

figure() { printf '%s %s\n' "$1" "$2" >>"$RESULTS/$STEP.figures"; }

driver() {
  if [ "$DEVICE" != cpu ]; then
    nvidia-smi --query-gpu=index,name,driver_version,memory.total,compute_mode --format=csv || true
  fi
  "$PYTHON" "$ROOT/gpu_check.py" driver "$RESULTS/driver.figures" "$DEVICE"
}

doctests() {  # PROGRAM
  local code=0
  in_bundle "$ROOT/bin/$1" --no-colors=true | tee "$RESULTS/$STEP.out" || code=$?
  figure cases "$(sed -n 's/.*test cases: *\([0-9]*\).*/\1/p' "$RESULTS/$STEP.out")"
  return $code
}

prepare() { "$PYTHON" "$ROOT/gpu_check.py" prepare "$RESULTS/data" "$DEVICE"; }

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
[teacher.vit]
arch = 'vit_tiny_patch16_224'
classes = 4
[taps]
features = [-1]
attention = [-1]
calibration_views = 32
[plan]
group = 16
shard_groups = 8
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
batch = 64
size = 64
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
  in_bundle "$ROOT/bin/vitrine-train" "$RESULTS/$1-halves.toml" --set resume=true
  "$PYTHON" "$ROOT/gpu_check.py" losses "$RESULTS/$STEP.figures" "$RESULTS/$1-whole/log.csv"
  cmp "$RESULTS/$1-whole/final.safetensors" "$RESULTS/$1-halves/final.safetensors"
}

memory() {  # another program leaves the GPU hardly any memory: one sentence, exit code 6
  local holder code=0
  "$PYTHON" "$ROOT/gpu_check.py" hold "$RESULTS/held" &
  holder=$!
  for _ in $(seq 100); do [ -e "$RESULTS/held" ] && break; sleep 0.2; done
  extract_config "$RESULTS/memory" | large vit_base_patch16_224 fp32 64 >"$RESULTS/memory.toml"
  in_bundle "$ROOT/bin/vitrine-extract" "$RESULTS/memory.toml" --set taps.features=[] --set taps.attention=[] \
    >"$RESULTS/memory.out" 2>&1 || code=$?
  kill "$holder"
  tail -n 3 "$RESULTS/memory.out"
  figure exit_code "$code"
  [ "$code" -eq 6 ] && grep -qE "does not fit into the memory of the GPU|its memory is full" "$RESULTS/memory.out"
}

hidden() {  # CUDA_VISIBLE_DEVICES that hides the GPUs is named
  local code=0
  extract_config "$RESULTS/hidden" >"$RESULTS/hidden.toml"
  CUDA_VISIBLE_DEVICES="" in_bundle "$ROOT/bin/vitrine-extract" "$RESULTS/hidden.toml" >"$RESULTS/hidden.out" 2>&1 || code=$?
  tail -n 1 "$RESULTS/hidden.out"
  [ "$code" -eq 2 ] && grep -q 'CUDA_VISIBLE_DEVICES = "" hides every GPU' "$RESULTS/hidden.out"
}

large() {  # ARCH PRECISION MICRO_BATCH: that teacher in place of the small one, in groups of 64 views
  sed "s/vit_tiny_patch16_224/$1/; s/tiny.safetensors/$1.safetensors/; s/^group = 16/group = 64/; s/^shard_groups = 8/shard_groups = 1/;
    s/^micro_batch = 8/micro_batch = $3\nprecision = '$2'/"
}

rate_extraction() {  # the second command does all but the work: what it takes is not the work's
  local views=$1 arch=$2 precision=$3 batch=$4 start middle end
  extract_config "$RESULTS/rate" | large "$arch" "$precision" "$batch" >"$RESULTS/rate.toml"
  in_bundle "$ROOT/bin/vitrine-extract" "$RESULTS/rate.toml"  # the basis, and a first pass of 256 views
  start=$(date +%s.%N)
  in_bundle "$ROOT/bin/vitrine-extract" "$RESULTS/rate.toml" --set first_pass=1 --set passes=$((views / 256))
  middle=$(date +%s.%N)
  in_bundle "$ROOT/bin/vitrine-extract" "$RESULTS/rate.toml" --set first_pass=1 --set passes=$((views / 256))
  end=$(date +%s.%N)
  "$PYTHON" "$ROOT/gpu_check.py" rate "$RESULTS/$STEP.figures" "$views" "$start" "$middle" "$end"
  "$PYTHON" "$ROOT/gpu_check.py" peer "$RESULTS/$STEP.figures" "$DEVICE" "$arch" "$precision" "$batch" || true
}

rate_training() {
  local arch=$1 precision=$2 batch=$3 epochs=$4 size=$5
  train_config "$RESULTS/rate-train" "$precision" | sed "s/resnet18/$arch/; s/^batch = 64/batch = $batch/; s/^size = 64/size = $size/;
    s/^deterministic = true/deterministic = false/; /^\[targets\]/,\$d" >"$RESULTS/rate-train.toml"
  printf "[targets]\nsource = 'none'\n[plan]\ngroup = 64\nimage_size = 224\n[schedule]\nalign = { epochs = 0 }\njoint = { epochs = %s, lr = 0.01 }\nfine_tune = { epochs = 0 }\n" "$epochs" >>"$RESULTS/rate-train.toml"
  in_bundle "$ROOT/bin/vitrine-train" "$RESULTS/rate-train.toml"
  "$PYTHON" "$ROOT/gpu_check.py" train-rate "$RESULTS/$STEP.figures" "$RESULTS/rate-train/log.csv" "$batch"
  "$PYTHON" "$ROOT/gpu_check.py" peer "$RESULTS/$STEP.figures" "$DEVICE" "$arch" "$precision" "$batch" "$size" || true
}

# --- the run ----------------------------------------------------------------------------------------------------------------

total=470  # seconds; what has not begun by then is left out
slower=1   # a rehearsal on the CPU has as many times the time
only=.     # names of the steps to run, an extended regular expression

step() {  # NAME LIMIT FUNCTION [ARGUMENT...]
  local name=$1 limit=$(($2 * slower)) code=0 start
  shift 2
  [[ $name =~ $only ]] || return 0
  export STEP=$name
  start=$(date +%s.%N)
  if [ "$SECONDS" -ge $((total * slower)) ]; then
    code=255
  else
    printf '%-28s ' "$name"
    timeout -k 5 "$limit" bash "$ROOT/gpu_check.sh" step "$@" >"$RESULTS/$name.log" 2>&1 || code=$?
    case $code in 0) echo ok ;; 77) echo skipped ;; 124 | 137) echo "over $limit s" ;; *) echo "FAILED ($code)" ;; esac
  fi
  "$PYTHON" "$ROOT/gpu_check.py" record "$RESULTS" "$name" "$code" "$start"
}

run() {
  ROOT=$(cd "$1" && pwd)
  shift
  DEVICE=cuda
  while [ $# -gt 0 ]; do
    case $1 in
      --device) DEVICE=${2:?--device needs cpu or cuda}; shift 2 ;;
      --only) only=${2:?--only needs a regular expression}; shift 2 ;;
      *) fail "$1 is not known; expected --device or --only" ;;
    esac
  done
  [ "$DEVICE" != cpu ] || slower=5
  RESULTS=$ROOT/results
  [ ! -e "$RESULTS" ] || mv "$RESULTS" "$RESULTS.$(date +%s)"
  mkdir -p "$RESULTS"
  PYTHON=${PYTHON:-$(command -v python3 || true)}
  [ -n "$PYTHON" ] || fail "there is no python3; set PYTHON to one that has torch 2.11"
  local torch
  torch=$("$PYTHON" "$ROOT/gpu_check.py" libraries "$ROOT/compiler") || fail "$PYTHON cannot import torch"
  export ROOT RESULTS DEVICE PYTHON LIBRARIES="$ROOT/lib:$torch"
  export VITRINE_BIN=$ROOT/bin VITRINE_TEST_DEVICE=$DEVICE CUBLAS_WORKSPACE_CONFIG=:4096:8 OMP_NUM_THREADS=1
  local test precision
  step driver 60 driver
  for test in normalise_gpu_test models_gpu_test teacher_test; do step "$test" 60 doctests "$test"; done
  step prepare 60 prepare
  step extraction_twice 60 extraction
  step "deep_verify_$DEVICE" 40 verify_deep "$DEVICE"
  [ "$DEVICE" = cpu ] || step deep_verify_cpu 40 verify_deep cpu
  for precision in fp32 bf16 fp16 tf32; do step "train_$precision" 60 training "$precision"; done
  if [ "$DEVICE" != cpu ]; then
    step out_of_memory 45 memory
    step hidden_gpu 20 hidden
    step rate_vit_base_extraction 75 rate_extraction 2048 vit_base_patch16_224 bf16 64
    step rate_resnet50_training 75 rate_training resnet50 bf16 256 60 224
  else
    step rate_vit_tiny_extraction 90 rate_extraction 256 vit_tiny_patch16_224 fp32 16
    step rate_resnet18_training 60 rate_training resnet18 fp32 64 2 32
  fi
  for test in extract_test trainer_test cache_teacher_test recipe_test; do step "$test" 90 doctests "$test"; done
  "$PYTHON" "$ROOT/gpu_check.py" table "$RESULTS" "$SECONDS"
}

case ${1:-} in
  bundle) [ $# -ge 2 ] || fail "bundle needs a directory"; bundle "${@:2}" ;;
  run) [ $# -ge 2 ] || fail "run needs the bundle's directory"; run "${@:2}" ;;
  step) "${@:2}" ;;
  *) sed -n '2,12s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
