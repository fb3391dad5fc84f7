"""The types of the Python package, as mypy sees them: within the package, and for who uses it."""
import os
import subprocess
import sys
import tempfile

SOURCE = os.environ["VITRINE_SOURCE"]
PACKAGE = os.path.join(SOURCE, "tools", "python")

SOUND = '''
from torch import Tensor

from vitrine_cache import Cache, VitrineDataset, loader

def mean_logit(directory: str) -> float:
    data = VitrineDataset(directory, "photos", ["logits"], batch_size=8)
    total = 0.0
    for batch in loader(data):
        logits = batch.targets["logits"]
        assert isinstance(logits, Tensor)
        total += float(logits.mean())
    return total / len(data)

def names(directory: str) -> list[str]:
    return sorted(track.name for track in Cache(directory).tracks)
'''
WRONG = '''
from vitrine_cache import Cache

passes: str = Cache(3).recipe_passes
'''


def mypy(path: str, cache: str) -> tuple[int, str]:
    run = subprocess.run([sys.executable, "-m", "mypy", "--config-file", os.path.join(PACKAGE, "pyproject.toml"), "--cache-dir", cache,
                          path], capture_output=True, text=True, cwd=PACKAGE, env={**os.environ, "MYPYPATH": PACKAGE})
    return run.returncode, run.stdout + run.stderr


with tempfile.TemporaryDirectory() as work:
    cache = os.path.join(work, "cache")
    code, said = mypy(os.path.join(PACKAGE, "vitrine_cache"), cache)
    if code != 0:
        sys.exit(said)
    for name, text, expected in (("sound.py", SOUND, []), ("wrong.py", WRONG, ['Argument 1 to "Cache"', "Incompatible types in assignment"])):
        with open(os.path.join(work, name), "w", encoding="utf-8") as file:
            file.write(text)
        code, said = mypy(os.path.join(work, name), cache)
        if code != (1 if expected else 0) or not all(words in said for words in expected):
            sys.exit(f"{name}: {said}")
