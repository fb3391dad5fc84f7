#!/usr/bin/env bash
# Trains one of the demo's students on one core, from the output of tools/demo.sh in demo/.
#
#   tools/scripts/demo_student.sh plain|kl|full|live NAME [--set key=value]...    results in demo/students/NAME, log in demo/logs/NAME.log
#
# plain    labels only, with the best rate and augmentation found by tools/scripts/demo_search.sh, and as many steps
# kl       output KL only, from the cache
# full     KL, features and attention in three phases, from the cache
# live     the same from the live teacher
set -euo pipefail
cd "$(dirname "$0")/../.."
kind=$1 name=$2
shift 2
plan=(--set plan.image_size=48 --set plan.group=32 --set plan.shard_groups=16 --set plan.min_area=0.35)
case $kind in
  plain) own=("${plan[@]}" --set targets.source=none --set targets.features= --set targets.attention= --set plan.mix_probability=0.0
              --set schedule.align.epochs=0 --set schedule.joint.epochs=43 --set schedule.joint.lr=0.05) ;;
  kl) own=(--set targets.features= --set targets.attention= --set schedule.align.epochs=0 --set schedule.joint.epochs=43) ;;
  full) own=() ;;
  live) own=("${plan[@]}" --set plan.mix_probability=0.7 --set targets.source=teacher --set targets.passes=24
             --set targets.teacher.weights=demo/teacher/exported/last.safetensors --set targets.teacher.name=demo_vit
             --set 'targets.taps.features=[3]' --set 'targets.taps.attention=[3]') ;;
  *) echo "demo_student.sh: unknown student $kind; expected plain, kl, full or live" >&2; exit 2 ;;
esac
mkdir -p "$(dirname "demo/logs/$name")"
log=demo/logs/$name.log
[ -f "demo/students/$name/checkpoints/last.json" ] || : >"$log"  # a resumed run appends to its log
build/bin/vitrine-train configs/demo/student.toml --set "output=demo/students/$name" "${own[@]}" "$@" >>"$log" 2>&1 || {
  cat "$log" >&2
  echo "demo: the student $name failed; see its output above" >&2
  exit 2
}
