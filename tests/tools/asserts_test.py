"""ctest runs this with PYTHONOPTIMIZE=1: assert statements, which are most peers' checks, must still count."""
import os
import subprocess
import sys

if not __debug__ or os.environ["PYTHONOPTIMIZE"] != "1":
    sys.exit("assert statements are off: the peers' checks would pass whatever happens")
# And by hand, without -E, a test that has its support from reader_support.py refuses to run.
run = subprocess.run([sys.executable, "-c", "import reader_support"], capture_output=True, text=True,
                     env={**os.environ, "PYTHONPATH": os.path.dirname(os.path.abspath(__file__))})
if run.returncode == 0 or "assert statements" not in run.stderr:
    sys.exit(f"reader_support.py runs without assert statements: {run}")
