"""Results of tools/scripts/ablation.sh: a table, DEMO/ablation.csv and DEMO/ablation.svg.

    ablation_table.py DEMO

Differences are paired by seed; the interval is Student's t at 95 % over the seeds that both arms have.
"""
import csv
import json
import pathlib
import statistics
import sys

# Two-sided 95 % quantiles of Student's t by degrees of freedom.
T95 = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093]


def student_t(degrees):
    """The quantile; beyond the table by Fisher's expansion around the normal quantile, accurate to all three decimals."""
    if degrees <= len(T95):
        return T95[degrees - 1]
    z = statistics.NormalDist().inv_cdf(0.975)
    return z + (z**3 + z) / (4 * degrees) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * degrees**2)


def spread(values):
    """Mean, standard deviation, and half the 95 % interval of the mean; None for a single value."""
    mean = statistics.mean(values)
    if len(values) < 2:
        return mean, None, None
    deviation = statistics.stdev(values)
    return mean, deviation, student_t(len(values) - 1) * deviation / len(values) ** 0.5


def load(demo):
    """{arm: {seed: top-1 of the last weights in %}}: training settings are compared after the same steps, not at each run's best."""
    found = {}
    for path in sorted(demo.glob("students/ablation/*-*/summary.json")):
        arm, seed = path.parent.name.rsplit("-", 1)
        summary = json.loads(path.read_text(encoding="utf-8"))
        found.setdefault(arm, {})[int(seed)] = 100 * summary.get("last_top1", summary["top1"])
    return found


def against(arm, other):
    return [arm[seed] - other[seed] for seed in sorted(arm.keys() & other.keys())]


def cell(values):
    if not values:
        return "–"
    mean, _, half = spread(values)
    return f"{mean:+.1f} ± {half:.1f}" if half is not None else f"{mean:+.1f}"


def picture(rows, teacher):
    """A dot per seed, a bar for the mean, one arm per line."""
    left, width, step = 130, 560, 22
    low = min(min(r["values"]) for r in rows) - 1
    high = max(teacher, max(max(r["values"]) for r in rows)) + 1
    x = lambda v: left + (v - low) / (high - low) * width
    height = step * len(rows) + 50
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 20}" height="{height}" font-family="sans-serif" font-size="12">',
           '<rect width="100%" height="100%" fill="white"/>']
    for tick in range(int(low) // 5 * 5 + 5, int(high) + 1, 5):
        out.append(f'<line x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="10" y2="{height - 35}" stroke="#ddd"/>'
                   f'<text x="{x(tick):.1f}" y="{height - 20}" text-anchor="middle" fill="#555">{tick} %</text>')
    out.append(f'<line x1="{x(teacher):.1f}" x2="{x(teacher):.1f}" y1="10" y2="{height - 35}" stroke="#b55" stroke-dasharray="4 3"/>'
               f'<text x="{x(teacher):.1f}" y="{height - 6}" text-anchor="middle" fill="#b55">teacher</text>')
    for i, row in enumerate(rows):
        y = 22 + step * i
        out.append(f'<text x="{left - 8}" y="{y + 4}" text-anchor="end">{row["arm"]}</text>')
        mean = x(statistics.mean(row["values"]))
        out.append(f'<line x1="{mean:.1f}" x2="{mean:.1f}" y1="{y - 7}" y2="{y + 7}" stroke="#246" stroke-width="2"/>')
        out += [f'<circle cx="{x(v):.1f}" cy="{y}" r="3.5" fill="#48b" fill-opacity="0.55"/>' for v in row["values"]]
    return "\n".join(out + ["</svg>\n"])


def validated(demo, arm, seed):
    """[(step, top-1)] of a run's validations."""
    metrics = demo / "students" / "ablation" / f"{arm}-{seed}" / "metrics.jsonl"
    lines = map(json.loads, metrics.read_text(encoding="utf-8").splitlines() if metrics.exists() else [])
    return [(line["step"], line["top1"]) for line in lines if line["event"] == "validation"]


def steps_to_plains_best(demo, arm, seed):
    best = max((top1 for _, top1 in validated(demo, "plain", seed)), default=None)
    return next((step for step, top1 in validated(demo, arm, seed) if best is not None and top1 >= best), None)


def main():
    demo = pathlib.Path(sys.argv[1])
    found = load(demo)
    if not found:
        print(f"ablation_table.py: no run has ended below {demo}/students/ablation", file=sys.stderr)
        return 2
    evaluated = json.loads((demo / "evaluation-teacher.json").read_text(encoding="utf-8"))
    teacher = 100 * evaluated["top1"]
    plain, kl, full = (found.get(name, {}) for name in ("plain", "kl", "full"))
    rows = []
    for arm, by_seed in found.items():
        values = [by_seed[s] for s in sorted(by_seed)]
        mean, deviation, _ = spread(values)
        base = statistics.mean(plain.values()) if plain else None
        way = 100 * (mean - base) / (teacher - base) if base is not None and arm != "plain" else None
        reached = [steps_to_plains_best(demo, arm, s) for s in by_seed if s in plain]
        reached = [r for r in reached if r is not None]
        rows.append({"arm": arm, "seeds": len(values), "mean": mean, "deviation": deviation, "way": way, "values": values,
                     "plain": against(by_seed, plain) if arm != "plain" else [], "kl": against(by_seed, kl) if arm != "kl" else [],
                     "full": against(by_seed, full) if arm != "full" else [],
                     "reached": statistics.mean(reached) if reached else None})
    rows.sort(key=lambda r: -r["mean"])
    print(f"\ntop-1 on {evaluated['images']:,} pictures, teacher {teacher:.1f} %; differences paired by seed, ± half the 95 % interval of their mean")
    print("| arm | seeds | top-1 | against plain | against KL alone | against full | of the way | steps to plain's best |\n| --- | --- | --- | --- | --- | --- | --- | --- |")
    for r in rows:
        top1 = f"{r['mean']:.1f}" + (f" ± {r['deviation']:.1f}" if r["deviation"] is not None else "")
        print(f"| {r['arm']} | {r['seeds']} | {top1} | {cell(r['plain'])} | {cell(r['kl'])} | {cell(r['full'])} | "
              f"{'–' if r['way'] is None else format(r['way'], '.0f') + ' %'} | {'–' if r['reached'] is None else format(r['reached'], '.0f')} |")
    with open(demo / "ablation.csv", "w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(["arm", "seed", "top1"])
        for arm, by_seed in found.items():
            writer.writerows([arm, seed, f"{top1:.2f}"] for seed, top1 in sorted(by_seed.items()))
    (demo / "ablation.svg").write_text(picture(rows, teacher), encoding="utf-8")
    print(f"\nEach run: {demo}/ablation.csv; drawn: {demo}/ablation.svg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
