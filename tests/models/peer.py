"""What the model peers share: running peer_values and comparing tensors."""
import os
import subprocess
import tempfile

from safetensors.torch import load_file, save_file

LIMIT = 1e-4


def dump(arguments, weights, inputs):
    """The tensors that peer_values writes, given a state dict and input tensors."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [os.path.join(folder, name) for name in ("weights.safetensors", "input.safetensors", "out.safetensors")]
        save_file({k: v.contiguous() for k, v in weights.items()}, paths[0])
        save_file(inputs, paths[1])
        program = os.path.join(os.environ["VITRINE_BIN"], "peer_values")
        subprocess.run([program, "models", *map(str, arguments), *paths], check=True)
        return load_file(paths[2])


def compare(what, ours, theirs, limit=LIMIT):
    assert ours.shape == theirs.shape, f"{what}: {tuple(ours.shape)} against {tuple(theirs.shape)}"
    error = (ours.double() - theirs.double()).abs().max().item()
    assert error <= limit, f"{what}: largest difference {error:.3g}, allowed {limit:.3g}"
    return error
