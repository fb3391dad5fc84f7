#!/usr/bin/env bash
# The search for the learning rate, weight decay and augmentation of the demo's plain student: trains each setting on the student's
# images and evaluates it on the split `choose`, used for nothing else. About 15 minutes on two cores, after tools/demo.sh.
set -euo pipefail
cd "$(dirname "$0")/../.."
list() {  # rate, weight decay, mixing probability, smallest crop
  for lr in 0.035 0.05 0.07 0.1; do echo "$lr 0.02 0.0 0.35"; done
  for decay in 0.0005 0.005 0.01 0.04; do echo "0.05 $decay 0.0 0.35"; done
  for mix in 0.3 0.7; do echo "0.05 0.02 $mix 0.35"; done
  echo "0.05 0.02 0.0 0.08"
}
list | while read -r lr decay mix area; do
  name=search-lr$lr-decay$decay-mix$mix-area$area
  [ -f "demo/students/$name/summary.json" ] && continue
  fine=$(awk "BEGIN { print $lr / 10 }")
  echo "plain $name --set test=demo/images/choose --set schedule.joint.lr=$lr --set schedule.fine_tune.lr=$fine --set optimizer.weight_decay=$decay --set plan.mix_probability=$mix --set plan.min_area=$area"
done | xargs -r -P "$(tools/jobs.sh)" -L 1 tools/scripts/demo_student.sh
.venv/bin/python tools/scripts/demo_table.py demo --search
