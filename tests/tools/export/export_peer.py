"""Exported students in the programs that they are for: ONNX's checker, ONNX Runtime, OpenVINO, PyTorch, torchvision and timm
compute what torchvision's model with the same weights does."""
import contextlib
import io
import json
import os
import pathlib
import re
import subprocess
import tempfile
import zipfile

import numpy
import onnx
import onnx.reference
import onnxruntime
import openvino
import PIL.Image
import safetensors
import safetensors.torch
import timm
import torch
import torchvision

LIMIT = 1e-4
SIZE, CLASSES = 64, 10
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
NAMES = [f"species {i} \"ü\"" for i in range(CLASSES)]
BATCHES = (1, 5)


def random_model(arch):
    """torchvision's model with random_statistics()."""
    return random_statistics(getattr(torchvision.models, arch)(num_classes=CLASSES))


def random_statistics(model):
    """The model with statistics as after training, and logits of some units."""
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if "running_mean" in name or ("bn" in name and name.endswith("bias")):
                tensor.normal_(0, 0.1)
            elif "running_var" in name:
                tensor.uniform_(0.5, 1.5)
        model.eval()
        logits = model(torch.randn(8, 3, SIZE, SIZE))
        model.fc.weight *= 5 / logits.abs().max()
        spread = model(torch.randn(8, 3, SIZE, SIZE)).std(0).max().item()
    assert spread > 1e-3, "the logits do not depend on the picture: the comparison would prove nothing"
    return model


def save(model, arch, path, width=64, **more):
    record = {"format": "pt", "vitrine.kind": "resnet", "vitrine.arch": arch, "vitrine.width": str(width), "vitrine.size": str(SIZE),
              "vitrine.mean": json.dumps(MEAN), "vitrine.std": json.dumps(STD), "vitrine.crop_pct": "0.9",
              "vitrine.precision": "fp32", "vitrine.classes": json.dumps(NAMES), "vitrine.class_count": str(CLASSES),
              "vitrine.step": "7", "vitrine.selection": "last", **{f"vitrine.{key}": value for key, value in more.items()}}
    safetensors.torch.save_file(model.state_dict(), path, record)


def export(weights, *words):
    program = os.path.join(os.environ["VITRINE_BIN"], "vitrine-export")
    subprocess.run([program, str(weights), *map(str, words)], check=True, stdout=subprocess.DEVNULL)


def difference(what, ours, theirs):
    """The largest difference, which must not be above LIMIT."""
    ours = torch.as_tensor(numpy.asarray(ours))
    assert ours.shape == theirs.shape, f"{what}: shape {tuple(ours.shape)}, expected {tuple(theirs.shape)}"
    worst = (ours - theirs).abs().max().item()
    assert worst <= LIMIT, f"{what}: largest difference {worst:.3g}, allowed {LIMIT}"
    return worst


def in_onnxruntime(path, x):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return session.run(["logits"], {"input": x.numpy()})[0]


def in_openvino(path, x):
    core = openvino.Core()
    model = core.compile_model(core.read_model(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1})
    return model(x.numpy())[0]


def in_reference(path, x):
    """ONNX's own definitions of the operators."""
    return onnx.reference.ReferenceEvaluator(str(path)).run(None, {"input": x.numpy()})[0]


def check_onnx(path, opset, shape):
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert [(one.domain, one.version) for one in model.opset_import] == [("", opset)]
    inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    sizes = [one.dim_param or one.dim_value for one in inferred.graph.output[0].type.tensor_type.shape.dim]
    assert sizes == [shape[0], CLASSES], sizes
    assert not any(node.op_type == "BatchNormalization" for node in model.graph.node)
    known = {one.name for one in inferred.graph.value_info}
    assert all(output in known for node in model.graph.node[:-1] for output in node.output), "a shape was not inferred"
    return {one.key: one.value for one in model.metadata_props}


def check_description(what, found):
    assert json.loads(found["vitrine.classes"]) == NAMES, what
    preprocessing = json.loads(found["vitrine.preprocessing"])
    assert preprocessing["size"] == SIZE and preprocessing["mean"] == list(MEAN) and preprocessing["std"] == list(STD), what
    assert len(json.loads(found["vitrine.origin"])["sha256"]) == 64, what


@torch.no_grad()
def check_graphs(model, weights, folder, opsets):
    """ONNX in three programs, in each opset, with each kind of input."""
    worst = {}
    path = folder / "student.onnx"
    for opset in opsets:
        export(weights, "--format", "onnx", "--opset", opset, "-o", path)
        check_description("onnx", check_onnx(path, opset, ["batch"]))
        for batch in BATCHES:
            x = torch.randn(batch, 3, SIZE, SIZE)
            for runtime in (in_onnxruntime, in_openvino):
                name = runtime.__name__[3:]
                worst[name] = max(worst.get(name, 0), difference(f"{name}, opset {opset}", runtime(path, x), model(x)))
    x = torch.randn(2, 3, SIZE, SIZE)
    worst["reference"] = difference("ONNX's reference", in_reference(path, x), model(x))

    export(weights, "--format", "onnx", "--input", "uint8", "-o", path)
    check_description("uint8", check_onnx(path, 17, ["batch"]))
    pictures = torch.randint(0, 256, (5, SIZE, SIZE, 3), dtype=torch.uint8)
    normalised = torchvision.transforms.functional.normalize(pictures.permute(0, 3, 1, 2) / 255, MEAN, STD)
    for runtime in (in_onnxruntime, in_openvino):
        difference("uint8", runtime(path, pictures), model(normalised))

    export(weights, "--format", "onnx", "--dynamic-size", "-o", path)
    for height, width in ((SIZE, SIZE), (96, 72)):
        x = torch.randn(2, 3, height, width)
        for runtime in (in_onnxruntime, in_openvino):
            difference("another size", runtime(path, x), model(x))

    export(weights, "--format", "onnx", "--batch", 4, "-o", path)
    check_onnx(path, 17, [4])
    x = torch.randn(4, 3, SIZE, SIZE)
    difference("four pictures", in_onnxruntime(path, x), model(x))
    return worst


@torch.no_grad()
def check_torch(model, arch, weights, folder):
    """pth, safetensors and TorchScript in PyTorch, torchvision and timm."""
    export(weights, "--format", "pth,safetensors,torchscript", "-o", folder)
    state = model.state_dict()
    x = torch.randn(5, 3, SIZE, SIZE)

    loaded = torch.load(folder / "student.pth", weights_only=True)
    assert set(loaded) == set(state) and all(torch.equal(loaded[name], state[name]) for name in state)
    with zipfile.ZipFile(folder / "student.pth") as archive:
        entry, = [name for name in archive.namelist() if name.endswith("/vitrine-student.json")]
        check_description("pth", json.loads(archive.read(entry)))
        assert archive.testzip() is None

    with safetensors.safe_open(folder / "student.safetensors", "pt") as file:
        check_description("safetensors", file.metadata())
    tensors = safetensors.torch.load_file(folder / "student.safetensors")
    for other in (getattr(torchvision.models, arch)(num_classes=CLASSES), timm.create_model(arch, num_classes=CLASSES)):
        for weights_of_file in (loaded, tensors):
            other.load_state_dict(weights_of_file, strict=True)
            assert torch.equal(other.eval()(x), model(x)) or difference(type(other), other(x), model(x)) <= LIMIT

    extra = {"vitrine-student.json": ""}
    script = torch.jit.load(folder / "student.torchscript.pt", _extra_files=extra)
    check_description("torchscript", json.loads(extra["vitrine-student.json"]))
    worst = 0
    for batch in BATCHES:
        x = torch.randn(batch, 3, SIZE + 32 * (batch > 1), SIZE)
        worst = max(worst, difference("torchscript", script(x), model(x)))
        worst = max(worst, difference("frozen", torch.jit.freeze(script.eval())(x), model(x)))
    own = script.state_dict()
    assert list(sorted(own)) == sorted(state) and all(torch.equal(own[name], state[name]) for name in state)
    getattr(torchvision.models, arch)(num_classes=CLASSES).load_state_dict(own, strict=True)
    assert {name for name, _ in script.named_parameters()} == {name for name, _ in model.named_parameters()}

    export(weights, "--format", "torchscript", "--input", "uint8", "-o", folder / "bytes.pt")
    pictures = torch.randint(0, 256, (2, SIZE, SIZE, 3), dtype=torch.uint8)
    normalised = torchvision.transforms.functional.normalize(pictures.permute(0, 3, 1, 2) / 255, MEAN, STD)
    difference("torchscript of bytes", torch.jit.load(folder / "bytes.pt")(pictures), model(normalised))
    return worst


@torch.no_grad()
def check_timm_folder(model, weights, folder):
    """A folder that timm opens by itself."""
    export(weights, "--format", "safetensors,pth", "--names", "timm", "-o", folder)
    here = folder / "student-timm"
    for _ in range(2):  # the second time the directory is there
        export(weights, "--format", "safetensors", "--names", "timm", "-o", folder / "mine")
        assert sorted(path.relative_to(folder / "mine").as_posix() for path in (folder / "mine").rglob("*.*")) == [
            "student-timm/config.json", "student-timm/model.safetensors"]
    assert {path.name for path in here.iterdir()} == {"model.safetensors", "pytorch_model.bin", "config.json"}
    theirs = timm.create_model(f"local-dir:{here}", pretrained=True).eval()
    x = torch.randn(2, 3, SIZE, SIZE)
    difference("timm's folder", theirs(x), model(x))
    assert theirs.pretrained_cfg["label_names"] == NAMES
    data = timm.data.resolve_model_data_config(theirs)
    assert [tuple(data[key]) for key in ("input_size", "mean", "std")] == [(3, SIZE, SIZE), MEAN, STD], data
    assert data["crop_pct"] == 0.9 and data["interpolation"] == "bicubic", data


def blocks_of_page():
    page = (pathlib.Path(os.environ["VITRINE_SOURCE"]) / "tools/DEPLOY.md").read_text().split("\n## TVM\n")[0]  # tvm_test.py
    return re.findall(r"```python\n(.*?)```", page, re.DOTALL)


def classified(weights, picture):
    """vitrine-classify's guesses, best first."""
    program = os.path.join(os.environ["VITRINE_BIN"], "vitrine-classify")
    return json.loads(subprocess.run([program, weights, picture, "--json", "--top", str(CLASSES)], check=True,
                                     stdout=subprocess.PIPE).stdout)["top"]


def probabilities(top):
    out = torch.zeros(CLASSES)
    for guess in top:
        out[guess["index"]] = guess["probability"]
    return out


@torch.no_grad()
def check_page(model, weights, folder):
    """The Python of tools/DEPLOY.md, run as it stands, and vitrine-classify on the same picture."""
    export(weights, "--format", "onnx,pth,safetensors,torchscript", "-o", folder)
    export(weights, "--format", "pth,safetensors", "--names", "timm", "-o", folder)
    pixels = numpy.random.default_rng(1).integers(0, 256, (90, 123, 3), dtype=numpy.uint8)
    PIL.Image.fromarray(pixels).resize((200, 150)).save(folder / "photo.jpg")
    names, found = {}, []
    with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()):
        for block in blocks_of_page():
            exec(block, names)
            if "logits" in names:
                found.append(torch.as_tensor(numpy.asarray(names.pop("logits"))))
        x = torch.from_numpy(names["normalised"](names["clean_crop"]("photo.jpg", names["how"]), names["how"]))
        found.append(names["model"].eval()(x))  # timm's
    assert len(found) == 4, len(found)
    for logits in found:
        difference("DEPLOY.md", logits, model(x))
    top = classified(weights, folder / "photo.jpg")
    assert [guess["class"] for guess in top] == [NAMES[i] for i in model(x)[0].argsort(descending=True)]
    difference("vitrine-classify", probabilities(top), model(x).softmax(1)[0])


@torch.no_grad()
def check_decoding(model, arch, folder):
    """The page's input and vitrine-classify's of a rotated picture and of one in 16-bit grey, decoded either way."""
    random_numbers = numpy.random.default_rng(2)
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    colours = random_numbers.integers(0, 256, (90, 123, 3), dtype=numpy.uint8)
    PIL.Image.fromarray(colours).resize((200, 150)).save(folder / "rotated.jpg", exif=exif)
    PIL.Image.fromarray(random_numbers.integers(0, 65536, (80, 100), dtype=numpy.uint16)).save(folder / "grey.png")
    names, outputs = {}, {}
    exec(blocks_of_page()[0], names)
    for orientation, grey in (("ignore", "clip"), ("apply", "scale")):
        weights = folder / f"{orientation}.safetensors"
        save(model, arch, weights, exif_orientation=orientation, grey16=grey)
        export(weights, "--format", "safetensors", "-o", folder / "out.safetensors")
        with safetensors.safe_open(folder / "out.safetensors", "pt") as file:
            how = json.loads(file.metadata()["vitrine.preprocessing"])
        for picture in ("rotated.jpg", "grey.png"):
            x = torch.from_numpy(names["normalised"](names["clean_crop"](folder / picture, how), how))
            found = probabilities(classified(weights, folder / picture))
            difference(f"{picture}, {orientation}, {grey}", found, model(x).softmax(1)[0])
            outputs.setdefault(picture, []).append(found)
    for picture, (one, other) in outputs.items():
        assert (one - other).abs().max() > 10 * LIMIT, f"{picture} proves nothing"


def main():
    torch.manual_seed(2)
    torch.set_num_threads(1)
    for arch, opsets in (("resnet18", (17, 20, 23)), ("resnet50", (17,))):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            weights = folder / "weights.safetensors"
            model = random_model(arch)
            save(model, arch, weights)
            worst = check_graphs(model, weights, folder, opsets)
            worst["torchscript"] = check_torch(model, arch, weights, folder)
            check_timm_folder(model, weights, folder)
            if arch == "resnet18":
                check_page(model, weights, folder)
                check_decoding(model, arch, folder)
            print(f"{arch}: largest differences", {name: f"{value:.2g}" for name, value in worst.items()})


if __name__ == "__main__":
    main()
