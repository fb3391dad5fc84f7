"""tools/scripts/tvm_compile.py: students compiled by TVM compute what torchvision's model does, in Python and in C++ as tools/DEPLOY.md
says; objects for other processors are theirs; and what the script refuses."""
import contextlib
import io
import json
import os
import pathlib
import re
import subprocess
import sys
import tarfile
import tempfile

import numpy
import torch
import torchvision
import tvm
from export_peer import CLASSES, MEAN, NAMES, SIZE, STD, difference, export, random_statistics, save
from torch import nn

SOURCE = pathlib.Path(os.environ["VITRINE_SOURCE"])
sys.path.insert(0, str(SOURCE / "tools/scripts"))
import tvm_compile  # noqa: E402

AARCH64 = 183  # ELF's e_machine


def slim_model(arch):
    """torchvision's model with an eighth of the channels, which TVM compiles sooner."""
    model = getattr(torchvision.models, arch)(num_classes=CLASSES)
    for module in list(model.modules()):
        for name, part in list(module.named_children()):
            if isinstance(part, nn.Conv2d):
                channels = part.in_channels if part.in_channels == 3 else part.in_channels // 8
                setattr(module, name, nn.Conv2d(channels, part.out_channels // 8, part.kernel_size, part.stride, part.padding, bias=False))
            elif isinstance(part, nn.BatchNorm2d):
                setattr(module, name, nn.BatchNorm2d(part.num_features // 8))
    model.fc = nn.Linear(model.fc.in_features // 8, CLASSES)
    return random_statistics(model)


def compile_student(folder, *words):
    """The script in this process, as loading TVM takes seconds: exit code, output and errors."""
    told, wrong, code = io.StringIO(), io.StringIO(), 0
    with contextlib.chdir(folder), contextlib.redirect_stdout(told), contextlib.redirect_stderr(wrong):
        try:
            tvm_compile.main([str(word) for word in words])
        except SystemExit as end:
            code = end.code
    return code, told.getvalue(), wrong.getvalue()


def page_blocks(language):
    """The code of DEPLOY.md's section on TVM."""
    section = (SOURCE / "tools/DEPLOY.md").read_text().split("\n## TVM\n")[1].split("\n## ")[0]
    return re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)


def logits_of(library, x):
    machine = tvm.relax.VirtualMachine(tvm.runtime.load_module(str(library)), tvm.cpu())
    return machine["main"](tvm.runtime.tensor(x.numpy())).numpy()


@torch.no_grad()
def test_page(folder, model):
    """The page's commands and programs, as they stand, in a folder that looks like a checkout."""
    (folder / "tools").symlink_to(SOURCE / "tools")
    (folder / ".venv").symlink_to(SOURCE / ".venv")
    (folder / "classify.cpp").write_text(page_blocks("cpp")[0])
    commands = page_blocks("sh")
    assert len(commands) == 3
    subprocess.run(["bash", "-e", "-c", "".join(commands)], cwd=folder, check=True, stdout=subprocess.DEVNULL)

    pixels = numpy.random.default_rng(1).integers(0, 256, (90, 123, 3), dtype=numpy.uint8)
    names = {}
    general = re.findall(r"```python\n(.*?)```", (SOURCE / "tools/DEPLOY.md").read_text(), re.DOTALL)[0]
    with contextlib.chdir(folder):
        exec(general, names)
        names["Image"].fromarray(pixels).save("photo.jpg", quality=95)
        exec(page_blocks("python")[0], names)
        x = torch.from_numpy(names["normalised"](names["clean_crop"]("photo.jpg", names["how"]), names["how"]))
    worst = difference("DEPLOY.md's Python", names["logits"], model(x))

    run = subprocess.run([folder / "classify", "./student.so", str(SIZE)], cwd=folder, input=x.numpy().tobytes(), check=True,
                         stdout=subprocess.PIPE)
    difference("DEPLOY.md's C++", numpy.array([float(line) for line in run.stdout.split()], numpy.float32)[None], model(x))
    said = json.loads((folder / "student.json").read_text())
    assert json.loads(said["vitrine.classes"]) == NAMES
    assert json.loads(said["vitrine.input"]) == {"shape": [1, 3, SIZE, SIZE], "type": "float32"}

    for name in ("aarch64", "android"):
        with tarfile.open(folder / f"student-{name}.tar") as archive:
            objects = [archive.extractfile(one).read() for one in archive.getmembers()]
        assert objects and all(one[:4] == b"\x7fELF" for one in objects)
        machines = {int.from_bytes(one[18:20], "little") for one in objects}
        assert machines == {AARCH64}, (name, machines)
        assert any(b"fused_conv2d" in one for one in objects), "no operator was fused"
    return worst


@torch.no_grad()
def test_bytes_and_batch(folder, model):
    """A ResNet-50 that takes pictures as bytes, two at a time."""
    export(folder / "weights.safetensors", "--format", "onnx", "--input", "uint8", "-o", folder / "bytes.onnx")
    code, told, wrong = compile_student(folder, "bytes.onnx", "-o", "bytes.so", "--batch", 2, "--time", 1)
    assert code == 0 and "largest difference of a logit" in told and f"input uint8 [2, {SIZE}, {SIZE}, 3]" in told, wrong
    pictures = torch.randint(0, 256, (2, SIZE, SIZE, 3), dtype=torch.uint8)
    normalised = torchvision.transforms.functional.normalize(pictures.permute(0, 3, 1, 2) / 255, MEAN, STD)
    return difference("bytes", logits_of(folder / "bytes.so", pictures), model(normalised))


def test_refusals(folder):
    """One sentence, exit code 2, and no file."""
    (folder / "text.onnx").write_text("no model")
    student = "RUN/exported/student.onnx"
    export(folder / "weights.safetensors", "--format", "onnx", "--batch", 4, "-o", folder / "four.onnx")
    for words, sentence in ((["absent.onnx", "-o", "new.so"], "absent.onnx: is not a file"),
                            (["text.onnx", "-o", "new.so"], "text.onnx: cannot be read as ONNX"),
                            ([student, "-o", "new.onnx"], "ends in neither .so nor .tar"),
                            ([student, "-o", "new.so", "--batch", "0"], "--batch 0 is not allowed"),
                            (["four.onnx", "-o", "new.so", "--batch", "3"], "does not fit the file's batch of 4"),
                            ([student, "-o", "new.tar", "--time", "3"], "--time runs the library"),
                            ([student, "-o", "nowhere/new.so"], "its folder does not exist"),
                            ([student, "-o", "new.tar", "--target", "no-such-machine"], "--target no-such-machine"),
                            ([student, "-o", "new.so", "--cpu", "cortex-z9"], "--cpu cortex-z9 is not a processor of host"),
                            ([student, "-o", "new.so", "--target", "aarch64-linux-gnu"], "does not link aarch64-linux-gnu")):
        code, _, wrong = compile_student(folder, *words)
        assert code == 2 and sentence in wrong, (words, code, wrong)
        assert wrong.startswith("tvm_compile: ") and wrong.count("\n") == 1, wrong
        assert not list(folder.glob("new.*"))


def main():
    torch.manual_seed(2)
    torch.set_num_threads(1)
    worst = {}
    for arch, test in (("resnet18", test_page), ("resnet50", test_bytes_and_batch)):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            model = slim_model(arch)
            save(model, arch, folder / "weights.safetensors", width=8)
            export(folder / "weights.safetensors", "--format", "onnx", "-o", folder / "RUN/exported/student.onnx")
            worst[arch] = test(folder, model)
            if arch == "resnet18":
                test_refusals(folder)
    print("TVM: largest differences", {name: f"{value:.2g}" for name, value in worst.items()})


if __name__ == "__main__":
    main()
