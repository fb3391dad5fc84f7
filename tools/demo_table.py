"""The demo's closing table, from the summaries that vitrine-train leaves and the cache's own account of itself.

    demo_table.py DEMO [--runs plain kl full live]
"""
import argparse
import json
import pathlib
import subprocess

ROWS = {"plain": "plain student, labels only", "kl": "output KL alone, from the cache", "full": "full recipe, from the cache",
        "live": "full recipe, live teacher"}


def summary(folder):
    path = folder / "summary.json"
    return json.loads(path.read_text()) if path.exists() else None


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("demo", type=pathlib.Path)
    p.add_argument("--runs", nargs="+", default=list(ROWS))
    a = p.parse_args()
    teacher = summary(a.demo / "teacher")
    print(f"\n{'':34s} {'top-1':>7s} {'wall':>7s} {'core-s/step':>12s} {'steps':>6s} {'images seen':>12s}")
    def row(name, s):
        print(f"{name:34s} {100 * s['top1']:6.1f}% {s['wall_seconds']:6.0f}s {s['core_seconds_per_step']:12.3f} {s['steps']:6d} {s['images_seen']:12,d}")
    row("teacher (ViT)", teacher)
    found = {r: summary(a.demo / "students" / r) for r in a.runs}
    for name, s in found.items():
        if s:
            row(ROWS.get(name, name), s)
    if found.get("plain") and found.get("full"):
        plain, full, top = (x["top1"] for x in (found["plain"], found["full"], teacher))
        line = f"\nThe distilled student is {100 * (full - plain):+.1f} points from the plain one"
        if top > plain:
            line += f" and closes {100 * (full - plain) / (top - plain):.0f} % of the way to its teacher"
        print(line + ".")
    if found.get("kl") and found.get("full") and found["full"]["top1"] <= found["kl"]["top1"]:
        print("The full recipe does not beat output KL alone here.")
    info = json.loads(subprocess.run([pathlib.Path(__file__).resolve().parent.parent / "build/bin/vitrine-cache", "info", "--json", a.demo / "cache"],
                                     check=True, capture_output=True, text=True).stdout)
    images = list((a.demo / "images" / "student").rglob("*.jpg"))
    jpeg = sum(i.stat().st_size for i in images) / len(images)
    per_view = sum(t["bytes_per_view"] for t in info["tracks"])
    print(f"Cache: {per_view:,.0f} bytes a view beside {jpeg:,.0f} bytes a JPEG ({100 * per_view / jpeg:.0f} %).")
    print(f"Files: {a.demo}")


if __name__ == "__main__":
    main()
