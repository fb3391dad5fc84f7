"""Files that torch.save writes are read as torch.load reads them: both forms of file, all dtypes, wrappers, shared storages
and views; and what is not a plain state dict is refused by name, without running it."""
import argparse
import collections
import io
import os
import pathlib
import subprocess
import tempfile
import zipfile

import numpy
import torch
from safetensors import safe_open
from safetensors.torch import load_file

torch.manual_seed(5)
PROGRAM = [os.path.join(os.environ["VITRINE_BIN"], "peer_values"), "weights"]


CHECKS = []  # what is compared when all files are written


def check(what, saved, expected, folder, note="", **options):
    path = os.path.join(folder, f"{len(CHECKS)}.pth")
    torch.save(saved, path, **options)
    torch.load(path, weights_only=False)  # the file is what the test means
    CHECKS.append((what, path, {name: tensor.clone() for name, tensor in expected.items()}, note))


def compare_all():
    pairs = [name for _, path, *_ in CHECKS for name in (path, path + ".out")]
    subprocess.run([*PROGRAM, "tensors", *pairs], check=True)
    for what, path, expected, note in CHECKS:
        got = load_file(path + ".out")
        with safe_open(path + ".out", "pt") as file:
            notes = file.metadata()["notes"]
        assert got.keys() == expected.keys(), (what, sorted(got.keys() ^ expected.keys()))
        for name, tensor in expected.items():
            if tensor.dtype == torch.float64:
                tensor = tensor.float()
            assert got[name].dtype == tensor.dtype and torch.equal(got[name], tensor), (what, name)
        assert note in notes, (what, notes)
        print(what)


def refused(path, *words):
    run = subprocess.run([*PROGRAM, "tensors", path, os.devnull], capture_output=True, text=True)
    assert run.returncode in (2, 4) and len(run.stderr.strip().splitlines()) == 1, run
    for word in words:
        assert word in run.stderr, run.stderr


class Runs:
    """Makes a directory when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def states(folder):
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    state = module.state_dict()
    check("a state dict", state, state, folder)
    check("the form before PyTorch 1.6", state, state, folder, _use_new_zipfile_serialization=False)
    for protocol in (3, 4, 5):
        check(f"pickle protocol {protocol}", state, state, folder, pickle_protocol=protocol)
    parameters = dict(module.named_parameters())
    check("parameters", parameters, {name: one.detach() for name, one in parameters.items()}, folder)
    parallel = torch.nn.DataParallel(module).state_dict()
    check("DataParallel", parallel, parallel, folder)  # no ViT: names stay
    dtypes = {str(dtype)[6:]: torch.randn(5).to(dtype) for dtype in
              (torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64, torch.int32, torch.uint8)}
    check("all dtypes", dtypes, dtypes, folder, "converted 1 tensor from F64 to F32")
    check("all dtypes, the older form", dtypes, dtypes, folder, _use_new_zipfile_serialization=False)
    torch.serialization.set_crc32_options(False)
    check("without checksums", state, state, folder)
    torch.serialization.set_crc32_options(True)


def views(folder):
    base = torch.randn(6, 8)
    shared = {"all": base, "rows": base[2:4], "columns": base[:, 1::3], "transposed": base.t(), "again": base,
              "one": base[5, 7], "expanded": base[:1].expand(4, 8), "empty": base[:0], "scalar": torch.tensor(3.0)}
    for new in (True, False):
        check(f"views of one storage {new}", shared, {name: tensor.contiguous() for name, tensor in shared.items()},
              folder, _use_new_zipfile_serialization=new)


def wrappers(folder):
    plain, ema = {"a.weight": torch.randn(2, 2)}, {"a.weight": torch.randn(2, 2)}
    arguments = argparse.Namespace(lr=0.1, path=pathlib.PurePosixPath("x"), mean=numpy.float64(0.5), seen={1, 2})
    rest = {"epoch": 3, "args": arguments, "history": [1.5, None, (True, b"x")], "scores": numpy.arange(3),
            "optimizer": {"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": [{"lr": 0.1}]},
            "counts": collections.defaultdict(int), "loss": torch.tensor(0.5)}
    check("state_dict", {"state_dict": plain, **rest}, plain, folder, 'took the tensors under "state_dict"')
    check("EMA before the model", {"model": plain, "model_ema": ema, **rest}, ema, folder, 'under "model_ema"; the file')
    check("timm's EMA", {"state_dict": plain, "state_dict_ema": ema}, ema, folder)
    check("an empty EMA", {"model": plain, "model_ema": None, **rest}, plain, folder, 'under "model"')
    check("teacher and student", {"student": plain, "teacher": ema, **rest}, ema, folder)
    check("two wrappers", {"model": {"module": plain}, **rest}, plain, folder, 'under "module"')
    check("a name of one part", {"weight": torch.ones(2)}, {"weight": torch.ones(2)}, folder)


def scripted(folder):
    class Outer(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = torch.nn.Linear(2, 3)
            self.scale = torch.nn.Parameter(torch.randn(1))
            self.register_buffer("steps", torch.tensor(4))

        def forward(self, x):
            return self.inner(x) * self.scale

    module = Outer()
    path = os.path.join(folder, f"{len(CHECKS)}.pt")
    torch.jit.script(module).save(path)
    CHECKS.append(("a TorchScript module", path, module.state_dict(), ""))


def refusals(folder):
    path = os.path.join(folder, "in.pth")
    victim = os.path.join(folder, "made")
    for new in (True, False):
        torch.save({"a.b": torch.ones(2), "x": Runs(victim)}, path, _use_new_zipfile_serialization=new)
        refused(path, "posix.mkdir", "not known to be harmless")
    assert not os.path.exists(victim)
    torch.save(torch.nn.Linear(2, 2), path)
    refused(path, "torch.nn.modules.linear.Linear", "state dict")
    torch.save({"epoch": 3}, path)
    refused(path, "holds no state dict", '"epoch"')
    torch.save([torch.ones(2)], path)
    refused(path, "no dictionary of tensors")
    torch.save({"a.b": torch.ones(2).to(torch.complex64)}, path)
    refused(path, '"a.b"', "torch.ComplexFloatStorage")
    torch.save({"a.b": torch.ones(2).to(torch.float8_e4m3fn)}, path)
    refused(path, '"a.b"', "float8_e4m3fn")
    torch.save({"a.b": torch.ones(2, 2).to_sparse()}, path)
    refused(path, '"a.b"', "_rebuild_sparse_tensor")
    torch.save({"a.b": torch.ones(1).expand(1 << 20)}, path)
    refused(path, "repeat values")

    torch.save({"a.b": torch.arange(100.0)}, path)
    with open(path, "rb") as file:
        whole = bytearray(file.read())
    at = whole.index(torch.arange(100.0).numpy().tobytes())
    whole[at + 7] ^= 1
    with open(path, "wb") as file:
        file.write(whole)
    refused(path, "the checksum of entry", "data/0")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"x" * 100)
    with open(path, "wb") as file:
        file.write(packed.getvalue())
    refused(path, "is compressed")
    print("refusals")


with tempfile.TemporaryDirectory() as directory:
    for test in (states, views, wrappers, scripted, refusals):
        test(directory)
    compare_all()
