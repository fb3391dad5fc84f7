"""The demo's final table, from the summaries of vitrine-train and `vitrine-cache info`.

    demo_table.py DEMO                the four students of tools/demo.sh
    demo_table.py DEMO --seeds N      mean and standard deviation of tools/scripts/demo_seeds.sh
    demo_table.py DEMO --search       the plain student's settings of tools/scripts/demo_search.sh, best first
"""
import argparse
import json
import pathlib
import statistics
import subprocess

ROWS = {"plain": "plain student, labels only", "kl": "output KL alone, from the cache", "full": "full method, from the cache",
        "live": "full method, live teacher"}


def summary(folder):
    path = folder / "summary.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def search(demo):
    found = sorted(((summary(f)["top1"], f.name[7:]) for f in demo.glob("students/search-*") if summary(f)), reverse=True)
    print("plain student on the split choose:")
    for top1, name in found:
        print(f"  {100 * top1:5.1f} %   {name}")


def seeds(demo, teacher, count):
    top1 = {kind: [100 * summary(demo / "students" / f"{kind}-{seed}")["top1"] for seed in range(count)] for kind in ("plain", "kl", "full")}
    print(f"top-1 on the test split, {count} seeds; teacher {100 * teacher['top1']:.1f} %")
    for kind, values in top1.items():
        print(f"  {ROWS[kind]:34s} {statistics.mean(values):5.1f} ± {statistics.stdev(values) if count > 1 else 0:.1f} %   ({', '.join(f'{v:.1f}' for v in values)})")
    plain = statistics.mean(top1["plain"])
    for kind in ("kl", "full"):
        gain = statistics.mean(top1[kind]) - plain
        to_teacher = statistics.mean(top1[kind]) - 100 * teacher["top1"]
        print(f"  {kind} against plain: {gain:+.1f} points; {to_teacher:+.1f} against the teacher")
    paired = [b - a for a, b in zip(top1["kl"], top1["full"])]
    print(f"  full against KL alone, paired: {statistics.mean(paired):+.1f} ± {statistics.stdev(paired) if count > 1 else 0:.1f} points")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("demo", type=pathlib.Path)
    p.add_argument("--seeds", type=int)
    p.add_argument("--search", action="store_true")
    a = p.parse_args()
    if a.search:
        return search(a.demo)
    teacher = summary(a.demo / "teacher")
    if a.seeds:
        return seeds(a.demo, teacher, a.seeds)
    print(f"\n{'':34s} {'top-1':>7s} {'wall':>7s} {'core-s/step':>12s} {'steps':>6s} {'images seen':>12s}")
    def row(name, s):
        print(f"{name:34s} {100 * s['top1']:6.1f}% {s['wall_seconds']:6.0f}s {s['core_seconds_per_step']:12.3f} {s['steps']:6d} {s['images_seen']:12,d}")
    row("teacher (ViT)", teacher)
    found = {r: summary(a.demo / "students" / r) for r in ROWS}
    for name, s in found.items():
        if s:
            row(ROWS.get(name, name), s)
    if found.get("plain") and found.get("full"):
        plain, full, top = (x["top1"] for x in (found["plain"], found["full"], teacher))
        line = f"\nThe distilled student is {100 * (full - plain):+.1f} points from the plain one"
        if full >= top:
            line += f", {100 * (full - top):.1f} above its teacher"
        elif top > plain:
            line += f" and closes {100 * (full - plain) / (top - plain):.0f} % of the way to its teacher"
        print(line + ".")
    if found.get("kl") and found.get("full") and found["full"]["top1"] <= found["kl"]["top1"]:
        print("The full method does not beat output KL alone here.")
    info = json.loads(subprocess.run([pathlib.Path(__file__).resolve().parents[2] / "build/bin/vitrine-cache", "info", "--json", a.demo / "cache"],
                                     check=True, capture_output=True, text=True).stdout)
    images = list((a.demo / "images" / "student").rglob("*.jpg"))
    jpeg = sum(i.stat().st_size for i in images) / len(images)
    per_view = sum(t["bytes_per_view"] for t in info["tracks"])
    print(f"Cache: {per_view:,.0f} bytes per view, {jpeg:,.0f} bytes per JPEG ({100 * per_view / jpeg:.0f} %).")
    print(f"Files: {a.demo}")


if __name__ == "__main__":
    main()
