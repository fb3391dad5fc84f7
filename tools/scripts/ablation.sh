#!/usr/bin/env bash
# Ablations of the training method on the output of tools/demo.sh in demo/: compares arms with paired seeds (same initial weights,
# order and views), evaluated on 8,000 pictures used for nothing else, as the demo's 2,000 leave an uncertainty of one point. Prints a
# table, writes demo/ablation.csv and demo/ablation.svg. Skips runs that have a summary, so it may be stopped at any time, and arms or
# seeds added later.
#
#   tools/scripts/ablation.sh [--seeds N] [--jobs N] [ARM]...    5 seeds, one job per core, all arms;
# tools/scripts/ablation.sh --list names them
set -euo pipefail
cd "$(dirname "$0")/../.."

# name | student of tools/scripts/demo_student.sh | settings that differ. "full" is configs/demo/student.toml.
arms() {
  cat <<'ARMS'
plain            | plain | labels alone
kl               | kl    | output KL alone ("direct distillation")
kl+features      | full  | --set targets.attention=
kl+attention     | full  | --set targets.features= --set schedule.align.epochs=0 --set schedule.joint.epochs=43
full             | full  |
dynamic          | full  | --set schedule.w_feat_from=0.7 --set schedule.w_feat_to=0.3 --set schedule.w_out_from=0.3 --set schedule.w_out_to=0.7
dynamic-x2       | full  | --set schedule.w_feat_from=1.4 --set schedule.w_feat_to=0.6 --set schedule.w_out_from=0.6 --set schedule.w_out_to=1.4
dynamic-cosine   | full  | --set schedule.w_feat_from=1.4 --set schedule.w_feat_to=0.6 --set schedule.w_out_from=0.6 --set schedule.w_out_to=1.4 --set schedule.w_ramp=cosine
even-positions   | full  | --set transformer.attention_share=0
last-stage       | full  | --set transformer.stage=4
no-align         | full  | --set schedule.align.epochs=0 --set schedule.joint.epochs=43
no-fine-tune     | full  | --set schedule.fine_tune.epochs=0 --set schedule.joint.epochs=47
no-labels        | full  | --set schedule.joint.r_from=1 --set schedule.joint.r_to=1 --set schedule.fine_tune.r_from=1 --set schedule.fine_tune.r_to=1
teacher-student  | full  | --set transformer.direction=teacher_to_student
guidance         | full  | --set loss.attention=gradient
gradient-scaling | full  | --set loss.attention=gradient_scaling
adaptive         | full  | --set transformer.mapping=adaptive
trained          | full  | --set model.weights=demo/students/ablation/plain-SEED/exported/last.safetensors
trained-kl       | kl    | --set model.weights=demo/students/ablation/plain-SEED/exported/last.safetensors
trained-plain    | plain | --set model.weights=demo/students/ablation/plain-SEED/exported/last.safetensors
live             | live  |
live-exact       | live  | --set targets.through_codec=false
fp32             | full  | --set precision=fp32
error-0.1        | full  | --set targets.cache=demo/caches/error-0.001
error-5          | full  | --set targets.cache=demo/caches/error-0.05
error-20         | full  | --set targets.cache=demo/caches/error-0.2
passes-1         | full  | --set targets.cache=demo/caches/passes-1
passes-3         | full  | --set targets.cache=demo/caches/passes-3
passes-10        | full  | --set targets.cache=demo/caches/passes-10
passes-30        | full  | --set targets.cache=demo/caches/passes-30
ARMS
}

seeds=5 jobs=$(tools/jobs.sh) chosen=()
while [ $# -gt 0 ]; do
  case $1 in
    --seeds) seeds=$2; shift 2 ;;
    --jobs) jobs=$2; shift 2 ;;
    --list) arms | sed 's/ *|.*//'; exit ;;
    *) arms | grep -q "^$1 *|" || { echo "ablation.sh: unknown arm $1; tools/scripts/ablation.sh --list names them" >&2; exit 2; }
       chosen+=("$1"); shift ;;
  esac
done
[ -f demo/teacher/summary.json ] || { echo "ablation.sh: demo/teacher is missing; run tools/demo.sh first" >&2; exit 2; }

# Caches of the arms: other bounds and other numbers of passes.
cache_of() {
  [ -d "demo/caches/$1" ] && return
  case $1 in
    error-*) set -- "$1" --set "taps.max_error=${1#error-}" ;;
    passes-*) set -- "$1" --set "passes=${1#passes-}" ;;
  esac
  mkdir -p demo/caches
  build/bin/vitrine-extract configs/demo/extract.toml --set "cache=demo/caches/$1.part" "${@:2}" >"demo/logs/cache-$1.log"
  mv "demo/caches/$1.part" "demo/caches/$1"
}

mkdir -p demo/logs/ablation
pictures=demo/evaluation/fresh
[ -e "$pictures" ] || {  # whole or not at all: half a set would be evaluated on as well
  rm -rf demo/evaluation.part
  build/bin/vitrine-draw demo/evaluation.part --split fresh=8000 --classes 36 --size 96 --seed 78
  mv demo/evaluation.part demo/evaluation
}
[ -f demo/evaluation-teacher.json ] || {
  build/bin/vitrine-train --evaluate demo/teacher configs/demo/teacher.toml --set "test=$pictures" --json >demo/evaluation-teacher.part
  mv demo/evaluation-teacher.part demo/evaluation-teacher.json
}
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
arms | while IFS='|' read -r name kind settings; do
  name=${name// /} kind=${kind// /}
  [ ${#chosen[@]} -eq 0 ] || printf '%s\n' "${chosen[@]}" | grep -qx -- "$name" || continue
  # Explanations are not settings; a trailing blank would make xargs continue the line.
  case $settings in *--set*) settings=$(xargs <<<"$settings") ;; *) settings= ;; esac
  for cache in $(grep -o 'demo/caches/[^ ]*' <<<"$settings" || true); do cache_of "${cache#demo/caches/}"; done
  for seed in $(seq 0 $((seeds - 1))); do
    [ -f "demo/students/ablation/$name-$seed/summary.json" ] ||
      echo "$kind ablation/$name-$seed --set seed=$seed --set test=$pictures --set validation=demo/images/choose --set eval_every=4${settings:+ ${settings//SEED/$seed}}" >>"$work/$seed"
  done
done
# Seed by seed, so that early results are paired.
shopt -s nullglob  # if nothing is left to do
cat /dev/null "$work"/* | xargs -r -P "$jobs" -L 1 tools/scripts/demo_student.sh
.venv/bin/python tools/scripts/ablation_table.py demo
