"""The table of tools/scripts/benchmark.sh, also as RUNS/benchmark.csv.

    benchmark_table.py RUNS ARCH...
"""
import csv
import json
import pathlib
import sys


def main():
    runs = pathlib.Path(sys.argv[1])
    rows = []
    for arch in sys.argv[2:]:
        first, second = (json.loads((runs / f"{arch}-{kind}" / "summary.json").read_text(encoding="utf-8")) for kind in ("original", "distilled"))
        if "top1" not in first or "top1" not in second:
            print(f"benchmark_table.py: the runs of {arch} were not evaluated; give the configuration test or validation images", file=sys.stderr)
            return 2
        rows.append({"network": arch, "original": 100 * first["top1"], "distilled": 100 * second["top1"],
                     "gain": 100 * (second["top1"] - first["top1"]), "evaluated_on": second["evaluated_on"],
                     "steps_original": first["steps"], "steps_distilled": second["steps"],
                     "core_s_a_step_original": first["core_seconds_per_step"], "core_s_a_step_distilled": second["core_seconds_per_step"]})
    print(f"top-1 on the {rows[0]['evaluated_on']} images\n")
    print("| network | original | distilled | gain | core-s a step, original | distilled |\n| --- | --- | --- | --- | --- | --- |")
    for r in rows:
        print(f"| {r['network']} | {r['original']:.1f} % | {r['distilled']:.1f} % | {r['gain']:+.1f} | "
              f"{r['core_s_a_step_original']:.2f} | {r['core_s_a_step_distilled']:.2f} |")
    with open(runs / "benchmark.csv", "w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, rows[0].keys())
        writer.writeheader()
        writer.writerows({k: f"{v:.4f}" if isinstance(v, float) else v for k, v in r.items()} for r in rows)
    print(f"\nAlso in {runs}/benchmark.csv; each run's log and weights are beside it.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
