"""The version, which stands in Vitrine's CMakeLists.txt: read there in a checkout, else from the installed package."""
from __future__ import annotations

import importlib.metadata
import pathlib
import re


def _version() -> str:
    try:
        text = (pathlib.Path(__file__).resolve().parents[3] / "CMakeLists.txt").read_text(encoding="utf-8")
    except (OSError, IndexError):
        text = ""
    found = re.search(r"^project\(vitrine VERSION ([0-9.]+)", text, re.M)
    return found[1] if found else importlib.metadata.version("vitrine_cache")


__version__ = _version()
