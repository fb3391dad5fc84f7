#!/usr/bin/env bash
# The main job, end to end, on a data set that is drawn here: a ViT learns from many labelled pictures, its targets over a few
# hundred others are cached, and a ResNet-18 learns from that cache; beside it the same student from labels alone, from output KL
# alone, and from the live teacher. Ends with a table. Everything lies in demo/, which is made anew.
#
#   tools/demo.sh [SEED]
set -euo pipefail
cd "$(dirname "$0")/.."
seed=${1:-0}
tools/setup.sh
tools/build.sh vitrine-draw vitrine-train vitrine-extract vitrine-cache
bin=build/bin
say() { printf '\n== %s\n' "$*"; }

rm -rf demo; mkdir -p demo/logs
say "Drawing pictures: 16 classes, two partly hidden objects each"
$bin/vitrine-draw demo/images --split teacher=12000 --split student=500 --split choose=1000 --split test=2000 --size 96 --seed 7

say "Teaching the teacher: a small ViT, labels alone"
$bin/vitrine-train configs/demo/teacher.toml >demo/logs/teacher.log

say "Running the teacher once: 24 augmented passes over 500 pictures"
$bin/vitrine-extract configs/demo/extract.toml >demo/logs/extract.log
$bin/vitrine-cache info demo/cache | sed -n '1,/^provenance/p' | grep -v '^provenance'

student() {  # NAME settings...: one student on one core
  local name=$1; shift
  $bin/vitrine-train configs/demo/student.toml --set "output=demo/students/$name" --set "seed=$seed" "$@" >"demo/logs/$name.log" 2>&1 \
    || { cat "demo/logs/$name.log" >&2; echo "demo: the student $name failed; its output stands above" >&2; exit 2; }
}
plain=(--set targets.source=none --set targets.features= --set targets.attention= --set schedule.align.epochs=0 --set schedule.joint.epochs=43
       --set plan.image_size=48 --set plan.group=32 --set plan.min_area=0.35 --set plan.mix_probability=0.0)
kl=(--set targets.features= --set targets.attention= --set schedule.align.epochs=0 --set schedule.joint.epochs=43
    --set schedule.w_out_from=1.0 --set schedule.w_out_to=1.0)
live=(--set targets.source=teacher --set targets.passes=24 --set targets.teacher.weights=demo/teacher/final.safetensors --set targets.teacher.name=demo_vit
      --set 'targets.teacher.vit={arch="",image_size=48,patch=8,dim=128,depth=4,heads=4,classes=16}' --set 'targets.taps.features=[3]' --set 'targets.taps.attention=[3]'
      --set plan.image_size=48 --set plan.group=32 --set plan.shard_groups=16 --set plan.min_area=0.35 --set plan.mix_probability=0.7)
say "Teaching four students, two side by side: plain and KL, then the full recipe from the cache and from the live teacher"
student plain "${plain[@]}" & one=$!
student kl "${kl[@]}" & two=$!
wait $one; wait $two
student full & one=$!
student live "${live[@]}" & two=$!
wait $one; wait $two

.venv/bin/python tools/demo_table.py demo
