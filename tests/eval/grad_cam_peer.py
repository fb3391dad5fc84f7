"""Our Grad-CAM against one made with hooks in PyTorch on torchvision's ResNets, for random weights."""
import os
import subprocess
import tempfile

import torch
import torchvision
from safetensors.torch import load_file, save_file

LIMIT = 1e-5


def grad_cam(model, x, classes):
    """Equations 1 and 2 of arXiv:1610.02391, one picture at a time, each map divided by its maximum."""
    caught = {}

    def keep(_, __, output):
        caught["maps"] = output
        output.register_hook(lambda gradient: caught.__setitem__("gradient", gradient))

    handle = model.layer4.register_forward_hook(keep)
    out = []
    for picture, wanted in zip(x, classes):
        model.zero_grad()
        model(picture[None])[0, wanted].backward()
        weights = caught["gradient"][0].mean(dim=(1, 2))
        heat = torch.relu(torch.einsum("k,khw->hw", weights, caught["maps"][0].detach()))
        out.append(heat / heat.max() if heat.max() > 0 else heat)
    handle.remove()
    return torch.stack(out)


def ours(arch, state, x, classes):
    with tempfile.TemporaryDirectory() as folder:
        weights, given, out = (os.path.join(folder, name) for name in ("weights", "input", "out"))
        save_file({name: tensor.contiguous() for name, tensor in state.items()}, weights)
        save_file({"x": x, "classes": classes}, given)
        program = os.path.join(os.environ["VITRINE_BIN"], "peer_values")
        subprocess.run([program, "grad_cam", arch, weights, given, out], check=True)
        return load_file(out)["maps"]


def check(arch, height, width):
    classes = 7
    model = getattr(torchvision.models, arch)(num_classes=classes).eval()
    with torch.no_grad():  # running statistics that differ from their defaults
        for name, tensor in model.state_dict().items():
            if "running_mean" in name:
                tensor.normal_(0, 0.1)
            elif "running_var" in name:
                tensor.uniform_(0.5, 1.5)
    x, wanted = torch.randn(5, 3, height, width), torch.tensor([0, 6, 3, 3, 1])
    theirs = grad_cam(model, x, wanted)
    maps = ours(arch, model.state_dict(), x, wanted)
    assert maps.shape == theirs.shape, f"{tuple(maps.shape)} against {tuple(theirs.shape)}"
    assert (theirs.amax(dim=(1, 2)) == 1).any() and theirs.std() > 0.05, "flat maps: the comparison would prove nothing"
    error = (maps - theirs).abs().max().item()
    assert error <= LIMIT, f"{arch}: largest difference {error:.3g}, allowed {LIMIT:.3g}"
    print(f"{arch}, {height} x {width}: largest difference {error:.2g}")


torch.manual_seed(4)
torch.set_num_threads(1)
check("resnet18", 128, 96)
check("resnet50", 96, 96)
