"""C++ is formatted as .clang-format says, by the version that tools/requirements.txt pins."""
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(os.environ["VITRINE_SOURCE"])
FOLDERS = ("common", "extract", "train", "tools", "tests")
ENDINGS = {".h", ".cpp", ".cu", ".inc"}


def main():
    formatter = pathlib.Path(sys.executable).parent / "clang-format"
    files = sorted(str(path) for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.suffix in ENDINGS)
    if len(files) < 100:
        sys.exit(f"only {len(files)} files below {ROOT}: this test looks in the wrong place")
    run = subprocess.run([formatter, "--dry-run", "--Werror", *files], cwd=ROOT, capture_output=True, text=True)
    if run.returncode != 0:
        sys.exit(f"not formatted; run .venv/bin/clang-format -i on these files:\n{run.stderr[:4000]}")
    print(f"{len(files)} files: formatted")


if __name__ == "__main__":
    sys.exit(main())
