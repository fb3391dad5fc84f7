"""Files that Python's safetensors writes are read, and ours are read by it: all dtypes, odd shapes, metadata."""
import os
import subprocess
import tempfile

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

torch.manual_seed(3)
tensors = {
    "a.weight": torch.randn(3, 5), "b": torch.randn(7).half(), "c": torch.randn(2, 1, 3).bfloat16(),
    "empty": torch.zeros(0, 4),
    "d": torch.randint(-9, 9, (4,)), "e": torch.randint(-9, 9, (3,), dtype=torch.int32),
    "odd": torch.randint(0, 255, (5,), dtype=torch.uint8), "scalar": torch.tensor(2.5), "quote\"é": torch.randn(1),
}
metadata = {"format": "pt", "größe": "a\nb"}
with tempfile.TemporaryDirectory() as folder:
    paths = [os.path.join(folder, name) for name in ("in", "out", "again")]
    save_file(tensors, paths[0], metadata=metadata)
    program = [os.path.join(os.environ["VITRINE_BIN"], "peer_values"), "models"]
    subprocess.run([*program, "copy", paths[0], paths[1]], check=True)
    subprocess.run([*program, "copy", paths[1], paths[2]], check=True)
    copied = load_file(paths[1])
    assert copied.keys() == tensors.keys(), copied.keys()
    for name, tensor in tensors.items():
        assert copied[name].dtype == tensor.dtype and torch.equal(copied[name], tensor), name
    with safe_open(paths[1], "pt") as file:
        assert file.metadata() == metadata, file.metadata()
    with open(paths[1], "rb") as one, open(paths[2], "rb") as two:
        assert one.read() == two.read(), "equal tensors gave other bytes"
    save_file({"x": torch.zeros(2, dtype=torch.float64)}, paths[0])
    refused = subprocess.run([*program, "copy", paths[0], paths[1]], capture_output=True, text=True)
    assert refused.returncode == 2 and "F64" in refused.stderr and paths[0] in refused.stderr, refused
print("safetensors: both ways")
