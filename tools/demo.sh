#!/usr/bin/env bash
# Runs the whole pipeline on a drawn data set: trains a ViT on many labelled pictures, caches its targets for a few hundred
# others, and trains a ResNet-18 from the cache; for comparison the same student from labels only, from output KL only, and
# from the live teacher. Prints a table at the end and writes demo/report.html. Recreates demo/, which holds everything.
#
#   tools/demo.sh [SEED]
set -euo pipefail
cd "$(dirname "$0")/.."
seed=${1:-0}
tools/setup.sh
tools/build.sh vitrine-draw vitrine-train vitrine-extract vitrine-cache vitrine-report
bin=build/bin
say() { printf '\n== %s\n' "$*"; }

rm -rf demo; mkdir -p demo/logs
say "Drawing pictures: 36 classes, two partly hidden objects each"
$bin/vitrine-draw demo/images --split teacher=12000 --split student=500 --split choose=1000 --split test=2000 --classes 36 --size 96 --seed 7

say "Teaching the teacher: a small ViT, labels alone"
$bin/vitrine-train configs/demo/teacher.toml >demo/logs/teacher.log

say "Running the teacher once: 24 augmented passes over 500 pictures"
$bin/vitrine-extract configs/demo/extract.toml >demo/logs/extract.log
$bin/vitrine-cache info demo/cache | sed -n '1,/^provenance/p' | grep -v '^provenance'

say "Teaching four students, two side by side: plain and KL, then the full method from the cache and from the live teacher"
for pair in "plain kl" "full live"; do
  pids=()
  for kind in $pair; do
    tools/scripts/demo_student.sh "$kind" "$kind" --set "seed=$seed" &
    pids+=($!)
  done
  for pid in "${pids[@]}"; do wait "$pid"; done
done

.venv/bin/python tools/scripts/demo_table.py demo
say "The four students side by side"
$bin/vitrine-report demo/students/plain demo/students/kl demo/students/full demo/students/live --evaluate -o demo/report.html
