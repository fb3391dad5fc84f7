"""The sources call std::filesystem only where a failure is handled: what touches the disk gets a std::error_code as its last
argument. Otherwise it throws a sentence without the remedy, or with a path that the user never gave.

What to call instead: common/base/files.h (path_exists, list_directory, make_directories, remove_directory, ...) and
common/base/paths.h (path_from_root, resolved_path, own_directory), which throw Error."""
import os
import pathlib
import re
import sys
import tempfile

FOLDERS = ("common", "extract", "train", "tools")
ENDINGS = {".h", ".cpp", ".cu"}
# Functions that throw without an error_code. Some have names that other functions have too, and count with a namespace alone.
PLAIN = ("create_directories", "create_directory", "create_directory_symlink", "create_hard_link", "create_symlink", "copy_file",
         "copy_symlink", "hard_link_count", "last_write_time", "read_symlink", "remove_all", "resize_file", "symlink_status",
         "temp_directory_path", "weakly_canonical")
QUALIFIED = ("absolute", "canonical", "copy", "current_path", "equivalent", "exists", "file_size", "is_block_file",
             "is_character_file", "is_directory", "is_empty", "is_fifo", "is_other", "is_regular_file", "is_socket", "is_symlink",
             "permissions", "proximate", "relative", "remove", "rename", "space", "status")
SPACE = r"(?:std::filesystem|fs|filesystem)::"
CALL = re.compile(rf"(?<![\w.>:])(?:{SPACE})?({'|'.join(PLAIN)})\s*\(|(?<![\w:]){SPACE}({'|'.join(QUALIFIED)})\s*\(")
# Their increments throw as well.
ITERATED = re.compile(r"\b(?:recursive_)?directory_iterator\b|\bdirectory_entry\b")
CODE = re.compile(r"\bstd::error_code\s*&?\s*(\w+)")
# Comments, strings and characters: replaced, so that neither brackets nor words in them count.
WORDS = re.compile(r'//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])\'', re.S)


def without_words(source):
    """The same lines, with 0 for every comment, string and character."""
    return WORDS.sub(lambda found: ("" if found[0].startswith("/") else "0") + "\n" * found[0].count("\n"), source)


def last_argument(source, start):
    """Of the call whose first argument begins at `start`."""
    depth, begin = 0, start
    for place in range(start, len(source)):
        letter = source[place]
        if letter in "([{":
            depth += 1
        elif letter in ")]}":
            if depth == 0:
                return source[begin:place].strip()
            depth -= 1
        elif letter == "," and depth == 0:
            begin = place + 1
    return ""


def faults_of(text, name):
    """A line per call without an error_code, and per iterator."""
    source = without_words(text)
    codes = set(CODE.findall(source))
    found = [(call.start(), call[1] or call[2]) for call in CALL.finditer(source)
             if last_argument(source, call.end()) not in codes]
    found += [(use.start(), use[0]) for use in ITERATED.finditer(source)]
    return [f"{name}:{source.count(chr(10), 0, place) + 1}: {word}" for place, word in sorted(found)]


def faults_below(root):
    files = sorted(path for folder in FOLDERS for path in (root / folder).rglob("*") if path.suffix in ENDINGS)
    return len(files), [fault for path in files for fault in faults_of(path.read_text(), path.relative_to(root).as_posix())]


def check_that_it_can_fail():
    lines = [
        "std::error_code failure;",
        "fs::create_directories(a / \"b, c)\");",                     # 2
        "std::filesystem::remove_all(path(a, b), failure);",
        "const auto path = std::filesystem::absolute(cache).lexically_normal();",  # 4
        "for (const fs::directory_entry& entry :",                    # 5
        "     fs::recursive_directory_iterator(directory))",          # 6
        "// fs::exists(path) throws",
        "create_symlink(a,",                                          # 8
        "               b);",
        "if (fs::is_symlink(fs::symlink_status(target, failure)))",   # 10: is_symlink
        "fs::remove(path, other);",                                   # 11: not an error_code
        "list.remove(path); status(path); files.create_directories(path); mine::create_directory(path);",
        "fs::rename(from, to, failure);",
    ]
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        (root / "tools").mkdir()
        (root / "tools/a.cpp").write_text("\n".join(lines))
        files, found = faults_below(root)
        assert files == 1, files
        assert found == [f"tools/a.cpp:{line}: {word}" for line, word in [
            (2, "create_directories"), (4, "absolute"), (5, "directory_entry"), (6, "recursive_directory_iterator"),
            (8, "create_symlink"), (10, "is_symlink"), (11, "remove")]], found


def main():
    check_that_it_can_fail()
    files, faults = faults_below(pathlib.Path(os.environ["VITRINE_SOURCE"]))
    if files < 100:
        sys.exit(f"only {files} files: this test looks in the wrong place")
    if faults:
        sys.exit("\n".join(faults) + "\nthese throw without an error_code; this test's first lines say what to call instead")
    print(f"{files} files: std::filesystem reports by error codes")


if __name__ == "__main__":
    sys.exit(main())
