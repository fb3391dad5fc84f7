"""A cache's JSON files."""
from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from xxhash import xxh3_64_intdigest as xxh3

from .container import MAJOR, check_json_version, parse_json
from .errors import CorruptError, system_error

CHECK = re.compile(rb',\n  "check": "([0-9a-f]{16})"\n}\n\Z')  # XXH3-64 of the text without this key


def has_right_check(text: bytes) -> bool:
    found = CHECK.search(text)
    return found is not None and int(found[1], 16) == xxh3(text[:found.start()] + b"\n}\n")


def require_check(version: Any, text: bytes, path: str | Path) -> None:
    """Raises CorruptError unless the check is right, or the version is another one, which may not have this check. If
    the check is right with this version's number, only the number was changed."""
    own = re.sub(rb'(\n  "version": )[^,\n]*', rb"\g<1>%d" % MAJOR, text, count=1)
    if not has_right_check(text) and (version == MAJOR or has_right_check(own)):
        raise CorruptError(f"{path}: its check is missing or wrong; the file is damaged or was edited, copy or make it again")


def read_json(path: str | Path, kind: str, checked: bool = False, version: int = MAJOR) -> tuple[dict[str, Any], bytes]:
    """The object and the text of a JSON file of this format; `checked`: its last key is a check of the text; `version`: the
    one that is read."""
    try:
        text = Path(path).read_bytes()
    except OSError as problem:
        raise system_error(problem, path, "cannot be read", "copy or make it again") from None
    try:
        found = parse_json(text)
    except ValueError as problem:
        raise CorruptError(f"{path}: cannot be read ({problem}); copy or make it again") from None
    if not isinstance(found, dict) or found.get("format") != kind:
        raise CorruptError(f"{path}: is not a file of the kind \"{kind}\"; copy or make it again")
    if checked:
        require_check(found.get("version"), text, path)
    check_json_version(found, path, version)
    return found, text
