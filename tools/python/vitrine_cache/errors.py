"""Errors for the user, of the same kinds as in C++ (common/base/error.h). Each message is one sentence: the file, what
is wrong and what to do. Catch CacheError for all of them."""
from __future__ import annotations

import errno
import os
import stat


class CacheError(Exception):
    """Base class: a problem with a cache or its use."""


class InputError(CacheError):
    """Invalid input: a name, a number, a path that does not exist, a file of another kind or cache."""


class IoError(CacheError):
    """The system refused or failed to open or read; the same call may succeed later."""


class CorruptError(CacheError):
    """The bytes read are not those that were written."""


class NewerFormatError(CacheError):
    """Written in a format that this version does not support."""


class ResourceError(CacheError):
    """The machine ran out of memory or file handles; no file is to blame."""


WRONG_PATH = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG}
OUT_OF = {errno.ENOMEM: "end other programs or use fewer workers", errno.ENOBUFS: "end other programs or use fewer workers",
          errno.EMFILE: "raise the limit on open files (ulimit -n) or use fewer workers",
          errno.ENFILE: "the machine has too many files open: end other programs"}


def system_error(problem: OSError, path: str | os.PathLike[str], what: str, remedy: str) -> CacheError:
    """The error for an OSError: InputError if the path is wrong, ResourceError, with its own remedy, if the machine ran
    out of a resource, else IoError."""
    kind: type[CacheError] = InputError if problem.errno in WRONG_PATH else ResourceError if problem.errno in OUT_OF else IoError
    return kind(f"{path}: {what} ({problem.strerror or problem}); {OUT_OF.get(problem.errno or 0, remedy)}")


def require_directory(path: str | os.PathLike[str], expected: str) -> None:
    """Raises InputError or IoError unless this is a directory; `expected`: "a cache, as ..."."""
    try:
        if stat.S_ISDIR(os.stat(path).st_mode):
            return
    except OSError as problem:
        if problem.errno not in WRONG_PATH:
            raise system_error(problem, path, "cannot be opened", "make it readable") from None
    raise InputError(f"{path}: is not a directory; expected {expected}")
