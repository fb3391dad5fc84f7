"""tools/setup.sh, build.sh and jobs.sh on machines that are not there: every program that they call is a stand-in that says
what it was asked, so that nothing is installed or built."""
import ast
import importlib.util
import io
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import types
import unittest.mock

from reader_support import check

TOOLS = pathlib.Path(__file__).resolve().parents[2] / "tools"
SHELL = ["bash", "cat", "sha256sum", "cut", "grep", "sed", "awk", "head", "tail", "dirname", "basename", "readlink", "mkdir", "rm",
         "touch", "ls", "ln", "cp", "flock", "env", "chmod", "rmdir", "mktemp"]


class Machine:
    """A folder with a copy of tools/ and of the programs in SHELL; others are added by name and script."""

    def __init__(self, folder):
        self.root, self.bin = folder / "vitrine", folder / "bin"
        self.log = folder / "log"
        shutil.copytree(TOOLS, self.root / "tools", ignore=shutil.ignore_patterns("*.py", "__pycache__", "commands", "native"))
        self.bin.mkdir()
        for name in SHELL:
            (self.bin / name).symlink_to(shutil.which(name))
        self.add("nproc", "echo 8")
        self.add("id", "echo 1000")
        self.add("nvcc", "echo release 13.0")

    def add(self, name, script):
        path = self.bin / name
        path.write_text(f"#!{shutil.which('bash')}\n{script}\n")
        path.chmod(0o755)

    def start(self, script, *words, **variables):
        environment = {"PATH": str(self.bin), "LOG": str(self.log), "HOME": str(self.root), "VITRINE_CGROUPS": str(self.root / "none"),
                       **variables}
        return subprocess.Popen([self.root / "tools" / script, *words], env=environment, text=True, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def run(self, script, *words, **variables):
        process = self.start(script, *words, **variables)
        out, error = process.communicate(timeout=120)
        return process.returncode, out, error

    def said(self):
        return self.log.read_text().splitlines() if self.log.exists() else []


def test_build(machine):
    """The compiler's output is printed completely, and the exit code is 2."""
    def build(script, *words):
        machine.add("cmake", f'[ "$1" = --build ] || {{ echo configured; exit 0; }}\necho "$@" >>"$LOG"\n{script}')
        return machine.run("build.sh", *words)

    code, out, error = build("echo a.cpp:1: error: one thing; exit 1")
    check(code == 2 and "a.cpp:1: error: one thing" in error and "build/build.log" in error, (code, error))
    code, out, error = build("for ((i = 0; i < 30000; ++i)); do echo b.cpp:$i: error: many things of some length; done; exit 1")
    check(code == 2 and "b.cpp:0: error" in error and 100 < error.count("\n") < 1000, (code, len(error)))
    log = (machine.root / "build/build.log").read_text()
    check(log.count("\n") == 30000)
    code, out, error = build("for i in 1 2 3; do echo line $i; done; echo no such luck; exit 1")
    check(code == 2 and "line 1\nline 2\nline 3\nno such luck\n" in error, (code, error))
    code, out, error = build("exit 1")
    check(code == 2 and error.startswith("build: failed"), (code, error))
    code, out, error = build("kill -9 $$")
    check(code == 2 and "build: failed" in error, (code, error))
    machine.log.unlink()
    code, out, error = build("echo first; echo last", "one", "two")
    check((code, out, error) == (0, "last\n", "") and machine.said()[0].endswith("--target one two"), (code, out, error))
    machine.add("cmake", "echo no generator; exit 1")
    code, out, error = machine.run("build.sh")
    check(code == 2 and error == "no generator\nbuild: cmake could not configure; the lines above say why\n", error)


def test_jobs(machine):
    """Cores and memory are the smaller of the machine's and the cgroup's."""
    def jobs(*words, **files):
        group = machine.root / "cgroup"
        shutil.rmtree(group, ignore_errors=True)
        for name, text in files.items():
            path = group / name.replace("__", "/").replace("_dot_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        code, out, error = machine.run("jobs.sh", *words, VITRINE_CGROUPS=str(group), OMP_NUM_THREADS="1")
        check(code == 0 and error == "", error)
        return int(out)

    check(jobs() == 8)
    check(jobs(cpu_dot_max="max 100000\n") == 8 and jobs(cpu_dot_max="250000 100000\n") == 3 and jobs(cpu_dot_max="10000 100000\n") == 1)
    check(jobs(cpu__cpu_dot_cfs_quota_us="-1\n", cpu__cpu_dot_cfs_period_us="100000\n") == 8)
    check(jobs(cpu__cpu_dot_cfs_quota_us="200000\n", cpu__cpu_dot_cfs_period_us="100000\n") == 2)
    check(jobs("100000000") == 1)  # never none
    gigabyte = 1 << 30
    check(jobs("100", memory_dot_max="max\n") == jobs("100"))
    check(jobs("400", memory_dot_max=f"{gigabyte}\n") == 2)  # 1024 / 400
    check(jobs("300", memory_dot_max=f"{gigabyte}\n", memory_dot_current=f"{gigabyte // 2}\n") == 1)
    check(jobs("300", memory_dot_max=f"{gigabyte}\n", memory_dot_current=f"{gigabyte // 2}\n", **{
        "memory_dot_stat": f"anon 5\ninactive_file {gigabyte // 4}\n"}) == 2)
    check(jobs("400", memory__memory_dot_limit_in_bytes=f"{gigabyte}\n") == 2)
    check(jobs("100", memory__memory_dot_limit_in_bytes="9223372036854771712\n") == jobs("100"))


# A Python that makes environments of copies of itself and logs what pip is asked. VERSION: what it says that it is.
PYTHON = """
case "$*" in
  *'sys.version)'*) echo "${VERSION:-3.11}" ;;
  *site-packages*) [ -d "$(dirname "$0")/../lib/python${VERSION:-3.11}" ] ;;
  *'import pip'*) true ;;
  *version_info*) true ;;
  "-m venv --clear "*) echo "venv" >>"$LOG"; rm -rf "$4"/*; mkdir -p "$4/bin" "$4/lib/python${VERSION:-3.11}"
                       cp "$0" "$4/bin/python"; touch "$4/pyvenv.cfg" ;;
  "-m pip install "*) echo "pip $*" >>"$LOG"; mkdir "$LOG.busy" || echo overlap >>"$LOG"
                      for ((i = 0; i < 20000; ++i)); do :; done; rmdir "$LOG.busy" ;;
  *) echo "asked $*" >>"$LOG"; exit 1 ;;
esac
"""


def test_packages(machine):
    """Debian packages with sudo, which drops the environment; without dpkg or sudo, one sentence with the remedy."""
    python = {"PYTHON": str(machine.bin / "python")}
    machine.add("python", PYTHON)
    code, out, error = machine.run("setup.sh", **python)
    check(code == 2 and "dpkg-query is missing" in error and "--no-system" in error and error.count("\n") == 1 and not machine.said(), error)
    code, out, error = machine.run("setup.sh", "--system", **python)
    check(code == 2 and "unknown argument --system; expected --no-system" in error, error)
    machine.add("dpkg-query", 'case "${@: -1}" in cmake | g++) echo not-installed ;; *) echo installed ;; esac')
    code, out, error = machine.run("setup.sh", **python)
    check(code == 2 and "are missing: g++ cmake; install them as root" in error and not machine.said(), error)
    machine.add("sudo", 'echo "sudo $*" >>"$LOG"; unset DEBIAN_FRONTEND; exec "$@"')
    machine.add("apt-get", 'echo "apt-get $DEBIAN_FRONTEND $*" >>"$LOG"')
    code, out, error = machine.run("setup.sh", **python)
    check(code == 0, error)
    asked = [line for line in machine.said() if line.startswith("apt-get")]
    check(len(asked) == 2 and all("apt-get noninteractive -o DPkg::Lock::Timeout=300 " in line for line in asked), asked)
    check(asked[0].endswith("update -qq") and asked[1].endswith("g++ cmake"), asked)
    machine.add("apt-get", "echo E: no network >&2; exit 100")
    code, out, error = machine.run("setup.sh", **python)
    check(code == 2 and error == "E: no network\nsetup: apt-get update failed; the lines above say why\n", error)


def test_environment(machine):
    """.venv is made once, by one of several concurrent set-ups, also through a link, and again only when its Python is gone."""
    python = {"PYTHON": str(machine.bin / "python")}
    machine.add("python", PYTHON)
    (machine.root / "elsewhere").mkdir()
    (machine.root / ".venv").symlink_to("elsewhere")
    many = [machine.start("setup.sh", "--no-system", **python) for _ in range(6)]
    ends = [process.communicate(timeout=120) + (process.returncode,) for process in many]
    check(all(code == 0 for _, _, code in ends), ends)
    pip = [line for line in machine.said() if line.startswith("pip")]
    check(len(pip) == 1 and pip[0].endswith("-r tools/requirements.txt") and machine.said().count("venv") == 1, machine.said())
    check((machine.root / ".venv").is_symlink() and len(list((machine.root / "elsewhere").glob(".ready-*"))) == 1)
    # Nothing to do; then other requirements; another Python of the system; another place.
    for change, wanted in [(lambda: None, []), (lambda: (machine.root / "tools/requirements.txt").open("a").write("more\n"), ["pip"]),
                           (lambda: python.update(VERSION="3.12"), ["venv", "pip"]),
                           (lambda: (machine.root / "elsewhere").rename(machine.root / "moved"), None),
                           (lambda: ((machine.root / ".venv").unlink(), (machine.root / ".venv").symlink_to("moved")), ["pip"])]:
        change()
        machine.log.unlink(missing_ok=True)
        code, out, error = machine.run("setup.sh", VITRINE_NO_SYSTEM="1", **python)
        if wanted is None:
            check(code == 2 and error.startswith("setup: .venv is neither a directory nor a link to one"), error)
        else:
            check(code == 0 and [line.split()[0] for line in machine.said()] == wanted, (machine.said(), error))
    (machine.root / ".venv").unlink()
    (machine.root / ".venv").mkdir()
    (machine.root / ".venv/thesis.tex").write_text("years of work")
    code, out, error = machine.run("setup.sh", "--no-system", **python)
    check(code == 2 and ".venv: not a Python environment" in error, error)
    check((machine.root / ".venv/thesis.tex").exists())


def test_bundle_launcher(machine):
    """It puts LibTorch in front of the caller's libraries, and keeps the caller's for programs of others."""
    place = machine.root / "tools/bundle"
    (place / "libraries.sh").write_text("#!/bin/sh\necho /torch/lib\n")
    (place / "bin").mkdir()
    program = place / "bin/vitrine"
    program.write_text(f"#!{shutil.which('bash')}\necho \"$LD_LIBRARY_PATH|$VITRINE_CALLER_LD_LIBRARY_PATH\"\n")
    program.chmod(0o755)
    (place / "libraries.sh").chmod(0o755)
    for before, seen in [({}, "/torch/lib|"), ({"LD_LIBRARY_PATH": "/own"}, "/torch/lib:/own|/own")]:
        code, out, error = machine.run("bundle/vitrine", "cache", **before)
        check((code, out) == (0, seen + "\n"), out, error)


def test_table():
    """Student's t at 95 %, two-sided, from the usual tables."""
    sys.path.insert(0, str(TOOLS / "scripts"))
    import ablation_table
    for degrees, wanted in [(1, 12.706), (19, 2.093), (20, 2.086), (24, 2.064), (29, 2.045), (60, 2.000), (120, 1.980), (10**9, 1.960)]:
        check(abs(ablation_table.student_t(degrees) - wanted) < 0.00051, (degrees, ablation_table.student_t(degrees)))
    with tempfile.TemporaryDirectory() as name:
        demo = pathlib.Path(name)
        for run, summary in {"kl-0": {"top1": 0.5}, "kl-1": {"top1": 0.5, "last_top1": 0.25}}.items():
            (demo / "students/ablation" / run).mkdir(parents=True)
            (demo / "students/ablation" / run / "summary.json").write_text(json.dumps(summary))
        check(ablation_table.load(demo) == {"kl": {0: 50, 1: 25}}, ablation_table.load(demo))
        for run, scores in {"plain-0": (0.25, 0.375), "full-0": (0.25, 0.5)}.items():
            (demo / "students/ablation" / run).mkdir(parents=True)
            lines = [{"event": "validation", "step": 64 * i, "top1": top1} for i, top1 in enumerate(scores, 1)]
            (demo / "students/ablation" / run / "metrics.jsonl").write_text(
                "".join(json.dumps(line) + "\n" for line in [{"event": "step", "step": 1}, *lines]))
        check(ablation_table.steps_to_plains_best(demo, "full", 0) == 128, "steps")


def test_encodings():
    """No script's texts depend on the machine's locale."""
    def leaves_it_open(call):
        name = getattr(call.func, "attr", getattr(call.func, "id", ""))
        mode = call.args[1] if name == "open" and len(call.args) > 1 else None
        return ((name in ("read_text", "write_text") or name == "open" and isinstance(call.func, ast.Name)) and
                not (mode and "b" in mode.value) and all(keyword.arg != "encoding" for keyword in call.keywords))

    scripts = sorted(TOOLS.rglob("*.py"))
    found = [f"{path}:{node.lineno}" for path in scripts for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
             if isinstance(node, ast.Call) and leaves_it_open(node)]
    check(len(scripts) > 20 and not found, found)


def test_int8_peer():
    """vitrine-bench runs 8-bit files in ONNX Runtime as DEPLOY.md says."""
    class Options:
        @staticmethod
        def get_providers():
            return ["CPUExecutionProvider"]

        def __init__(self):
            self.entries = {}

        def add_session_config_entry(self, key, value):
            self.entries[key] = value

    runtime = types.SimpleNamespace(SessionOptions=Options, GraphOptimizationLevel=types.SimpleNamespace(ORT_ENABLE_ALL=99),
                                    InferenceSession=lambda _file, options, providers: options)
    path = TOOLS / "commands/bench/peers/inference_peer.py"
    spec = importlib.util.spec_from_file_location("inference_peer", path)
    peer = importlib.util.module_from_spec(spec)
    with unittest.mock.patch.dict(sys.modules, onnxruntime=runtime):
        spec.loader.exec_module(peer)
        entries = {precision: peer.OnnxNetwork({"threads": 1, "onnx": "x.onnx", "precision": precision, "device": "cpu"}).session.entries
                   for precision in ("fp32", "int8")}
    check(entries == {"fp32": {}, "int8": {"session.x64quantprecision": "1"}}, entries)


def test_peers_on_gpu():
    """On a GPU a peer that has none says so, and does not answer from the CPU."""
    path = TOOLS / "commands/bench/peers/inference_peer.py"
    spec = importlib.util.spec_from_file_location("inference_peer", path)
    peer = importlib.util.module_from_spec(spec)
    torch = types.SimpleNamespace(__version__="2.0", device=lambda name: types.SimpleNamespace(type=name.split(":")[0]),
                                  cuda=types.SimpleNamespace(is_available=lambda: False))
    runtime = types.SimpleNamespace(get_available_providers=lambda: ["CPUExecutionProvider"])
    said = {}
    with unittest.mock.patch.dict(sys.modules, onnxruntime=runtime, torch=torch):
        spec.loader.exec_module(peer)
        for name in ("torchvision", "torch.compile", "onnxruntime", "openvino"):
            try:
                peer.load({"runtime": name, "precision": "fp32", "device": "cuda:0", "threads": 1, "onnx": "x.onnx"})
            except peer.Unavailable as error:
                said[name] = str(error)
    check(said == {"torchvision": "its torch 2.0 finds no GPU", "torch.compile": "its torch 2.0 finds no GPU",
                   "onnxruntime": "unavailable: this onnxruntime has no CUDA",
                   "openvino": "unavailable: OpenVINO does not run on an NVIDIA GPU"}, said)


def test_memory_of_peer():
    """On a GPU the peer begins CUDA before it resets the allocator's figures, which fails without an allocator."""
    path = TOOLS / "commands/bench/peers/inference_peer.py"
    spec = importlib.util.spec_from_file_location("inference_peer", path)
    peer, calls = importlib.util.module_from_spec(spec), []

    class Done(Exception):
        pass

    def reset(device):
        check(calls == ["init"], calls)
        calls.append("reset")

    def end(threads):
        raise Done
    switch = types.SimpleNamespace
    torch = switch(__version__="2.0", device=lambda name: switch(type=name.split(":")[0]), set_num_threads=end,
                   backends=switch(cudnn=switch(), cuda=switch(matmul=switch())),
                   cuda=switch(is_available=lambda: True, init=lambda: calls.append("init"), reset_peak_memory_stats=reset,
                               memory_allocated=lambda device: 0))
    with unittest.mock.patch.dict(sys.modules, torch=torch):
        spec.loader.exec_module(peer)
        try:
            peer.TorchNetwork({"device": "cuda:0", "threads": 1}, False)
        except Done:
            pass
    check(calls == ["init", "reset"], calls)


def test_zero_shot_head():
    """The rows of the class texts against plain arithmetic, with a stand-in for open_clip; faults before any text is embedded."""
    import torch
    from safetensors import safe_open
    sys.path.insert(0, str(TOOLS / "scripts"))
    import zero_shot_head
    calls = []

    def embedding(prompt):
        return torch.tensor([float(sum(map(ord, prompt)) % 7 + 1), float(len(prompt)), float(prompt.count("a")) - 2])

    class Model:
        logit_scale, logit_bias = torch.tensor(2.0), torch.tensor(-3.0)

        def eval(self):
            return self

        def encode_text(self, prompts):
            calls.append(prompts)
            return torch.stack([embedding(prompt) for prompt in prompts])

    stand_in = types.SimpleNamespace(create_model_and_transforms=lambda name, pretrained: (Model(), None, None),
                                     get_tokenizer=lambda name: lambda prompts: prompts)

    def run(*words):
        with (unittest.mock.patch.dict(sys.modules, open_clip=stand_in), unittest.mock.patch("sys.argv", ["zero_shot_head.py", *map(str, words)]),
              unittest.mock.patch("sys.stderr", io.StringIO()) as errors, unittest.mock.patch("sys.stdout", io.StringIO())):
            try:
                zero_shot_head.main()
                code = 0
            except SystemExit as end:
                code = end.code
            return code, errors.getvalue()

    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "classes.txt").write_text("n01\ttench\ngreat_owl\n\n", encoding="utf-8")
        (folder / "templates.txt").write_text("a {}.\nthe big {}!\n", encoding="utf-8")
        words = ["ViT-B-32", "--classes", folder / "classes.txt", "--templates", folder / "templates.txt"]
        code, errors = run(*words, "-o", folder / "head.safetensors")
        check(code == 0, errors)
        check(calls == [["a tench.", "the big tench!"], ["a great owl.", "the big great owl!"]], calls)
        with safe_open(folder / "head.safetensors", "pt") as file:
            found = {key: file.get_tensor(key) for key in file.keys()}
            check(json.loads(file.metadata()["classes"]) == ["n01", "great_owl"], file.metadata())
        for row, prompts in zip(found["text"], calls, strict=True):
            mean = sum(embedding(prompt) / embedding(prompt).norm() for prompt in prompts) / len(prompts)
            check(torch.allclose(row, mean / mean.norm(), atol=1e-6), (row, mean))
        check(abs(found["logit_scale"].item() - 7.389056) < 1e-4 and found["logit_bias"].item() == -3, found)

        calls.clear()
        (folder / "bare.txt").write_text("a photo\n", encoding="utf-8")
        (folder / "one.txt").write_text("ant\n", encoding="utf-8")
        for more, sentence in [(["-o", folder / "none/head.safetensors"], "its folder does not exist"),
                               (["-o", folder], "is not a regular file"),
                               (["-o", folder / "x", "--classes", folder / "one.txt"], "at least two different class names"),
                               (["-o", folder / "x", "--classes", folder / "none.txt"], "none.txt: cannot be read as text: No such file"),
                               (["-o", folder / "x", "--templates", folder / "bare.txt"], "each line must contain {}")]:
            code, errors = run(*words, *more)
            check(code == 2 and sentence in errors and errors.count("\n") == 1 and not calls, (code, errors, calls))


def main():
    test_zero_shot_head()
    test_table()
    test_peers_on_gpu()
    test_memory_of_peer()
    test_encodings()
    test_int8_peer()
    for test in (test_build, test_jobs, test_packages, test_environment, test_bundle_launcher):
        with tempfile.TemporaryDirectory() as name:
            test(Machine(pathlib.Path(name)))
    if lint := shutil.which("shellcheck"):
        scripts = [*TOOLS.glob("*.sh"), *TOOLS.glob("scripts/*.sh"), *TOOLS.glob("bundle/*"), TOOLS.parent / ".ci/run",
                   TOOLS.parent / "tests/golden/make.sh"]
        run = subprocess.run([lint, *(script for script in scripts if script.exists())], capture_output=True, text=True)
        check(run.returncode == 0, run.stdout)
    print("set-up, build and jobs: as they should be")


if __name__ == "__main__":
    sys.exit(main())
