"""Each type that is visible outside its file has a unique name in its namespace: two of one name break the one-definition
rule wherever both are linked into a program, and the linker keeps one's functions for both without a word."""
import os
import pathlib
import re
import sys
import tempfile

FOLDERS = ("common", "extract", "train", "tools")
TYPE = re.compile(r"^(?:class|struct|union|enum class|enum struct)\s+(?:alignas\([^)]*\)\s*)?(\w+(?:::\w+)*)(?:\s+final)?\s*(?::[^;:][^;]*)?\{", re.M)
NAMESPACE = re.compile(r"^namespace\s+([\w:]+)?\s*\{|^\}\s*// namespace(?:\s+([\w:]+))?", re.M)


def types_of(text):
    """Yields (line, qualified name) of the types at the top level of named namespaces."""
    marks = sorted([(found.start(), found) for found in NAMESPACE.finditer(text)] + [(found.start(), found) for found in TYPE.finditer(text)],
                   key=lambda mark: mark[0])
    inside = []
    for place, found in marks:
        if found.re is TYPE:
            if "" not in inside:
                yield text.count("\n", 0, place) + 1, "::".join(inside + [found[1]])
        elif found[0].startswith("namespace"):
            inside.append(found[1] or "")
        elif inside:
            inside.pop()


def clashes(root):
    places, files = {}, 0
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix not in {".h", ".cpp"} or "examples" in path.parts:
                continue
            files += 1
            for line, name in types_of(path.read_text()):
                places.setdefault(name, []).append(f"{path.relative_to(root)}:{line}")
    return files, {name: where for name, where in places.items() if len(where) > 1}


def check_that_it_can_fail():
    with tempfile.TemporaryDirectory() as name:
        root = pathlib.Path(name)
        (root / "common").mkdir()
        (root / "common/a.h").write_text("namespace v {\n\nstruct One {\n};\n\nenum class Two { k };\n\n}  // namespace v\n")
        (root / "common/b.cpp").write_text("namespace v {\nnamespace {\nstruct One {};\n}  // namespace\nclass Two : One {};\n"
                                           "namespace inner {\nstruct One {};\n}  // namespace inner\nclass Three;\n}  // namespace v\n")
        assert clashes(root) == (2, {"v::Two": ["common/a.h:6", "common/b.cpp:5"]}), clashes(root)


def main():
    check_that_it_can_fail()
    files, found = clashes(pathlib.Path(os.environ["VITRINE_SOURCE"]))
    assert files > 100, f"only {files} files: this test looks in the wrong place"
    for name, where in found.items():
        print(f"{name} is defined in {' and in '.join(where)}; rename one")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
