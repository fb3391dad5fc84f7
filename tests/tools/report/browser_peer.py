"""Pages of vitrine-report in Chromium: nothing on the console, and no sideways scrolling of the page on narrow and wide
screens; the colours of a dark screen; on paper. With VITRINE_SCREENSHOTS=FOLDER, screenshots are written there, to look at."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from pages import make_run, page

WIDTHS = (400, 700, 1600)
DARK = ("--force-dark-mode", "--blink-settings=preferredColorScheme=0")
HEIGHT = 900

# The page under test is in a frame, as wide as asked for: a window has a least width. It posts its sizes in a message.
PROBE = """<script>
addEventListener("load", () => parent.postMessage({
  width: innerWidth, paper: getComputedStyle(document.body).backgroundColor, scroll: document.documentElement.scrollWidth,
  boxes: [...document.querySelectorAll(".scroll")].length,
  wide: [...document.querySelectorAll("main *")].filter(e => !e.closest(".scroll") && !e.closest("svg")
    && e.getBoundingClientRect().right > innerWidth + 0.5).map(e => e.tagName + "." + e.className).slice(0, 5)}, "*"));
</script>"""
FRAME = """<!DOCTYPE html><meta charset="utf-8"/><body style="margin:0">
<iframe src="{name}" style="border:0;width:{width}px;height:{height}px"></iframe>
<pre id="told"></pre><script>addEventListener("message", e => told.textContent = JSON.stringify(e.data));</script>"""


def chromium(*arguments):
    with tempfile.TemporaryDirectory() as profile:
        run = subprocess.run([BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                              "--disable-extensions", "--no-first-run", f"--user-data-dir={profile}",
                              "--enable-logging=stderr", "--virtual-time-budget=4000", *arguments],
                             capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr[-2000:]
    console = [line for line in run.stderr.splitlines() if "CONSOLE" in line]
    assert not console, console
    return run.stdout


def measure(path, width, *arguments):
    """What the page posts in a frame of that width."""
    probed = path.with_name(f"probed-{path.name}")
    probed.write_text(path.read_text(encoding="utf-8").replace("</head>", PROBE + "</head>"), encoding="utf-8")
    frame = path.with_name(f"frame-{path.name}")
    frame.write_text(FRAME.format(name=probed.name, width=width, height=HEIGHT), encoding="utf-8")
    dom = chromium(f"--window-size={max(width, 800)},{HEIGHT}", *arguments, "--dump-dom", frame.as_uri())
    told = re.search(r'<pre id="told">(.*?)</pre>', dom, re.DOTALL)
    assert told and told[1], f"{path.name} told nothing: {dom[-500:]}"
    return json.loads(told[1].replace("&gt;", ">").replace("&lt;", "<").replace("&amp;", "&"))


def screenshots(path, folder):
    for scheme in ("light", "dark"):
        for width in (400, 1600):
            chromium(f"--window-size={width},2600", f"--screenshot={folder}/{path.stem}-{scheme}-{width}.png",
                     *(DARK if scheme == "dark" else []),
                     path.as_uri())


def lightness(colour):
    """Of "rgb(23, 22, 20)", from 0 to 255."""
    return sum(map(int, re.fullmatch(r"rgb\((\d+), (\d+), (\d+)\)", colour).groups())) / 3


def check_dark(path):
    light, dark = (lightness(measure(path, 700, *arguments)["paper"]) for arguments in ((), DARK))
    assert light > 240 and dark < 40, (light, dark)


def check_print(path):
    pdf = path.with_suffix(".pdf")
    chromium(f"--print-to-pdf={pdf}", "--no-pdf-header-footer", path.as_uri())
    written = pdf.read_bytes()
    assert written.startswith(b"%PDF-") and len(re.findall(rb"/Type\s*/Page\b", written)) > 1, written[:100]


def check(path):
    for width in WIDTHS:
        told = measure(path, width)
        assert told["width"] == width, told
        assert told["scroll"] <= width and not told["wide"], f"{path.name} at {width} pixels: {told}"
        assert told["boxes"] > 1, told
    if folder := os.environ.get("VITRINE_SCREENSHOTS"):
        screenshots(path, folder)


BROWSER = shutil.which("chromium")
if BROWSER is None:
    print("skipped: chromium is not installed (tools/packages.txt lists it)")
    sys.exit(77)
with tempfile.TemporaryDirectory() as name:
    root = pathlib.Path(name)
    long_name = "a_run_with_a_name_that_is_much_longer_than_a_narrow_screen_is_wide_and_has_no_spaces"
    runs = [make_run(root / "full", top1=0.617), make_run(root / "kl", top1=0.593, seed=2, batch=64),
            make_run(root / long_name, steps=1500, top1=0.431, seed=3, images='"' + "a/very/long/path" * 12 + '"')]
    page(root / "one.html", runs[0])
    check(root / "one.html")
    page(root / "three.html", *runs)
    check(root / "three.html")
    check_dark(root / "three.html")
    check_print(root / "three.html")
print(f"no overflow at {', '.join(map(str, WIDTHS))} pixels")
