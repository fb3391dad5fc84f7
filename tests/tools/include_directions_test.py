"""Every #include "..." under common, extract, train and tools points to its own room or to one below it.

The table is CMake's: a folder whose CMakeLists.txt says vitrine_room(NAME USES ...) or vitrine_command(NAME SOURCES ... USES
...) is a room, and may include the rooms that it USES and what these use in turn. A folder below it that has no such line
is a part of it. FOLDERS adds rooms that CMake does not know as such.

HEAVY names headers whose templates cost seconds in each file that sees them, and where they may be included. SPELT names
strings that one header and its source alone spell."""
import pathlib
import re
import sys
import tempfile

# Folder: the folders that it may include, with what these may include in turn. For a folder that makes its library in
# another way, or shares one library with others that it must not include.
FOLDERS = {
    "common/kernels/cuda": ["common/kernels"],
    "tools/python/native": ["common/codec"],
    "tools/examples/read_cache": ["common/cache"],
    "tools/examples/classify_picture": ["tools/commands/classify"],
}
TOPS = ("common", "extract", "train", "tools")
# What is included, where it may be (a file's name), and what to do elsewhere.
HEAVY = [
    (re.compile(r"torch/torch\.h"), re.compile(r"(?!)"), "include what is used: <ATen/ATen.h> for tensors, <torch/nn/module.h>, ..."),
    (re.compile(r"CLI/.*"), re.compile(r"common/config/command_line\.cpp"), "use common/config/command_line.h"),
    (re.compile(r"torch/nn/modules/.*"), re.compile(r".*\.(cpp|cu)|common/models/convolution\.h"),
     "hold a pointer of common/models/module_ptr.h"),
    (re.compile(r"common/models/convolution\.h"), re.compile(r".*\.cpp"), "hold a ConvolutionPtr of common/models/module_ptr.h"),
]
# A string, the header and its source that have it, and what to do elsewhere.
SPELT = [
    (re.compile(r'"(metrics\.(jsonl|csv)|mapping\.csv|summary\.json|report\.html|evaluation\.json|config\.toml|checkpoints)"'),
     "train/run_files/run_files.", "call RunFiles"),
    (re.compile(r'"(exported|(best|last)\.safetensors)"'), "common/base/run_weights.", "call RunFiles, or what run_weights.h has"),
    (re.compile(r'"[^"]*\.venv/bin/python"'), "tools/commands/bench/peer.", "call default_python()"),
]
CALL = re.compile(r"^vitrine_(?:room|command)\(([^)]*)\)", re.MULTILINE)
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"')
WORDS = {"USES", "SOURCES", "EXCEPT", "TORCH", "GLUE"}


def words_after(words, word):
    """Those behind `word`, up to the next keyword."""
    if word not in words:
        return []
    rest = words[words.index(word) + 1:]
    return rest[:next((i for i, one in enumerate(rest) if one in WORDS), len(rest))]


def rooms_of(root, folders):
    """The rooms by their folders, each with the folders that it names. A file that alone makes a command beside a room in
    its folder is a room of its own, on top of that one."""
    calls, folder_of = [], {}
    for top in TOPS:
        for path in sorted((root / top).rglob("CMakeLists.txt")):
            folder = path.parent.relative_to(root).as_posix()
            for call in CALL.finditer(re.sub(r"#[^\n]*", "", path.read_text())):
                words = call[1].split()
                calls.append((folder, words_after(words, "SOURCES"), words_after(words, "USES")))
                if call[0].startswith("vitrine_room"):
                    folder_of["vitrine_" + words[0]] = folder
    rooms = {}
    for folder, sources, uses in calls:
        shared = sources and folder in folder_of.values()
        for room in [f"{folder}/{source}" for source in sources] if shared else [folder]:
            rooms.setdefault(room, {folder} if shared else set()).update(folder_of[one] for one in uses if one in folder_of)
    rooms.update({folder: set(uses) for folder, uses in folders.items()})
    return {room: uses - {room} for room, uses in rooms.items()}


def below(rooms, room, path=()):
    """All rooms that it may include. Raises ValueError for rooms that use each other in a circle."""
    if room in path:
        raise ValueError("rooms use each other in a circle: " + " -> ".join(path + (room,)))
    out = set(rooms[room])
    for one in rooms[room]:
        out |= below(rooms, one, path + (room,))
    return out


def room_of(rooms, path):
    """The room of a file; None if it is in none."""
    while path not in rooms:
        if "/" not in path:
            return None
        path = path.rpartition("/")[0]
    return path


def violations(root, folders):
    """A line per forbidden include: FILE:LINE: what is wrong."""
    rooms = rooms_of(root, folders)
    allowed = {room: below(rooms, room) | {room} for room in rooms}
    out = []
    for top in TOPS:
        for file in sorted(path for path in (root / top).rglob("*") if path.suffix in (".h", ".cpp", ".cu")):
            name = file.relative_to(root).as_posix()
            own = room_of(rooms, name)
            for number, line in enumerate(file.read_text().splitlines(), 1):
                include = INCLUDE.match(line)
                if include is None:
                    continue
                where = f"{name}:{number}: #include \"{include[1]}\""
                if not (root / include[1]).is_file():
                    out.append(f"{where}: there is no such file; name it from the project's root")
                    continue
                other = room_of(rooms, include[1])
                if own is None or other is None:
                    out.append(f"{where}: {name if own is None else include[1]} is in no room")
                elif other not in allowed[own]:
                    out.append(f"{where}: {own} may not include {other}; it includes " +
                               (", ".join(sorted(allowed[own] - {own})) or "nothing"))
    return out


def heavy_includes(root):
    """A line per header of HEAVY in the wrong place."""
    out = []
    for file in sorted(path for top in TOPS + ("tests",) for path in (root / top).rglob("*") if path.suffix in (".h", ".cpp", ".cu")):
        name = file.relative_to(root).as_posix()
        for number, line in enumerate(file.read_text().splitlines(), 1):
            for header, where, instead in HEAVY:
                include = re.match(r"\s*#\s*include\s*<([^>]+)>", line)
                if include and header.fullmatch(include[1]) and not where.fullmatch(name):
                    out.append(f"{name}:{number}: #include <{include[1]}>: costs seconds in each file that sees it; {instead}")
    return out


def spelt_twice(root):
    """A line per string of SPELT in other files than its own."""
    out = []
    for file in sorted(path for top in TOPS for path in (root / top).rglob("*") if path.suffix in (".h", ".cpp", ".cu")):
        name = file.relative_to(root).as_posix()
        for number, line in enumerate(file.read_text().splitlines(), 1):
            for string, own, instead in SPELT:
                if not name.startswith(own) and string.search(line.partition("//")[0]):
                    out.append(f"{name}:{number}: {string.search(line)[0]}: only {own}* spells it; {instead}")
    return out


def check_that_it_can_fail():
    """A small tree in which each kind of fault occurs once."""
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        files = {
            "common/CMakeLists.txt": "add_subdirectory(base)\n",
            "common/base/CMakeLists.txt": "vitrine_room(base USES libz)\n",
            "common/base/text.h": "#include <string>\n#include \"common/plan/plan.h\"\n",
            "common/plan/CMakeLists.txt": "vitrine_room(plan USES vitrine_base)\n",
            "common/plan/plan.h": "#include \"common/base/text.h\"\n#include \"text.h\"\n",
            "common/plan/deep/part.h": "#include \"common/plan/plan.h\"\n#include \"common/base/text.h\"\n",
            "extract/CMakeLists.txt": "# vitrine_room(extract USES vitrine_train)\nvitrine_room(extract USES\n  vitrine_plan TORCH)\n"
                                      "vitrine_command(run SOURCES main.cpp USES vitrine_extract)\n",
            "extract/main.cpp": "#include \"common/base/text.h\"\n#include \"train/loss.h\"\n",
            "train/CMakeLists.txt": "vitrine_room(train USES vitrine_plan)\nvitrine_command(t SOURCES main.cpp USES vitrine_extract)\n",
            "train/loss.h": "int loss();\n",
            "train/main.cpp": "#include \"train/loss.h\"\n#include \"extract/part.h\"\n",
            "train/other.cpp": "#include \"common/base/text.h\"\n#include \"extract/part.h\"\n",
            "extract/part.h": "",
            "tools/native/a.cpp": "#include \"common/base/text.h\"\n#include \"common/plan/plan.h\"\n",
            "tools/loose/b.cpp": "#include \"common/base/text.h\"\n",
            "common/config/command_line.cpp": "#include <CLI/CLI.hpp>\n#include <torch/nn/modules/conv.h>\n",
            "common/config/command_line.h": "#include <CLI/CLI.hpp>\n#include <torch/nn/module.h>\n",
            "train/run_files/run_files.h": "auto a = \"summary.json\";\n",
            "train/report.h": "// \"summary.json\"\nauto a = \"no summary.json\";\nauto b = run / \"summary.json\";\n",
            "tests/a.h": "#include <torch/torch.h>\n#include <torch/nn/modules/conv.h>\n",
        }
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        found = [line.split(" ")[0] for line in violations(root, {"tools/native": ["common/base"]})]
        assert found == ["common/base/text.h:2:", "common/plan/plan.h:2:", "extract/main.cpp:2:", "train/other.cpp:2:",
                         "tools/loose/b.cpp:1:", "tools/native/a.cpp:2:"], found
        found = [line.split(" ")[0] for line in heavy_includes(root)]
        assert found == ["common/config/command_line.h:1:", "tests/a.h:1:", "tests/a.h:2:"], found
        found = [line.split(" ")[0] for line in spelt_twice(root)]
        assert found == ["train/report.h:3:"], found
        (root / "common/base/CMakeLists.txt").write_text("vitrine_room(base USES vitrine_train)\n")
        try:
            violations(root, {})
            raise AssertionError("a circle of rooms passed")
        except ValueError as error:
            assert "common/base -> " in str(error), error


check_that_it_can_fail()
source = pathlib.Path(__file__).resolve().parents[2]
faults = violations(source, FOLDERS)
for room in ("common/base", "common/codec", "train/losses", "train/run", "extract"):  # the table is read
    assert room in rooms_of(source, FOLDERS), room
faults = faults or heavy_includes(source)
if faults:
    sys.exit("\n".join(faults) + f"\n{len(faults)} includes are in the wrong place; see this test's first lines")
twice = spelt_twice(source)
if twice:
    sys.exit("\n".join(twice))
