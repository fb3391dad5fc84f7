"""tools/scripts/quantise.py: 8-bit students in ONNX Runtime and OpenVINO, calibrated on a cache's views, what --tune recovers, and what it refuses."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import numpy
import onnx
import onnxruntime
import openvino
import safetensors.torch
import torch
import torchvision

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from python_views_test import extract  # noqa: E402
import vitrine_cache  # noqa: E402

BIN = pathlib.Path(os.environ["VITRINE_BIN"])
SCRIPT = pathlib.Path(os.environ["VITRINE_SOURCE"]) / "tools/scripts/quantise.py"
sys.path.insert(0, str(SCRIPT.parent))
import int8_tuning  # noqa: E402

SIZE = 32


def make_student(folder):
    """A random ResNet-18 of the images' classes, as weights with a record and as ONNX."""
    names = sorted(path.name for path in (folder / "images").iterdir())
    model = torchvision.models.resnet18(num_classes=len(names)).eval()
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if "running_mean" in name:
                tensor.normal_(0, 0.1)
            elif "running_var" in name:
                tensor.uniform_(0.5, 1.5)
        model.fc.weight /= model(torch.randn(16, 3, SIZE, SIZE)).std(0).max()
    record = {"kind": "resnet", "arch": "resnet18", "width": "64", "size": str(SIZE), "mean": "[0.485, 0.456, 0.406]",
              "std": "[0.229, 0.224, 0.225]", "crop_pct": "0.9", "precision": "fp32", "classes": json.dumps(names),
              "class_count": str(len(names)), "step": "7", "selection": "last"}
    safetensors.torch.save_file(model.state_dict(), folder / "weights.safetensors",
                                {"format": "pt", **{f"vitrine.{key}": value for key, value in record.items()}})
    for words in (["-o", folder / "student.onnx"], ["--input", "uint8", "-o", folder / "bytes.onnx"],
                  ["--batch", "100", "-o", folder / "hundred.onnx"]):
        subprocess.run([BIN / "vitrine-export", folder / "weights.safetensors", "--format", "onnx", *words], check=True,
                       stdout=subprocess.DEVNULL)


def quantise(folder, *words):
    return subprocess.run([sys.executable, SCRIPT, *map(str, words)], cwd=folder, capture_output=True, text=True)


def outputs(path, x):
    """In arithmetic without saturation: processors without VNNI add pairs of products of bytes in 16 bits unless told otherwise."""
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.x64quantprecision", "1")
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return session.run(["logits"], {"input": x})[0]


def metadata(path):
    return {entry.key: entry.value for entry in onnx.load(path).metadata_props}


def test_models(folder):
    """The file is a quarter as large, quantised per channel, says what the student says, and computes almost the same."""
    views = vitrine_cache.Views(folder / "images", vitrine_cache.Cache(folder / "cache"), SIZE)
    first = min((folder / "images").iterdir())
    (first / "notes.txt").write_text("no picture")
    whole = next(path for path in first.iterdir() if path.suffix == ".jpg").read_bytes()
    (first / "cut.jpg").write_bytes(whole[:len(whole) // 2])
    for name in ("student", "bytes"):
        run = quantise(folder, f"{name}.onnx", "-o", "int8.onnx", "--cache", "cache", "--images", "images", "--groups", 3,
                       "--evaluate", "images")
        assert run.returncode == 0, run.stderr
        assert "calibrated on 24 views" in run.stdout, run.stdout
        lines = run.stdout.splitlines()
        assert [line.split(":")[0] for line in lines] == ["int8.onnx", "FP32", "INT8"], lines
        assert all(line.endswith(" % on 15 images") for line in lines[1:]), lines
        before, after = folder / f"{name}.onnx", folder / "int8.onnx"
        assert after.stat().st_size < 0.3 * before.stat().st_size
        said = metadata(after)
        assert json.loads(said.pop("vitrine.quantisation"))["views"] == 24 and said == metadata(before), said
        model = onnx.load(after)
        onnx.checker.check_model(model, full_check=True)
        scales = {one.name: onnx.numpy_helper.to_array(one) for one in model.graph.initializer}
        assert scales["conv1.weight_scale"].shape == (64,), "the weights have one step in all"
        pictures = numpy.concatenate([views.read(5, group) for group in range(2)])
        x = pictures if name == "bytes" else ((pictures / 255 - 0.45) / 0.225).astype(numpy.float32).transpose(0, 3, 1, 2)
        exact, rough = outputs(before, x), outputs(after, x)
        core = openvino.Core()
        other = core.compile_model(core.read_model(after), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(x)[0]
        # In root mean square, of the deviation between views.
        errors = [numpy.sqrt(((one - exact) ** 2).mean() / exact.var(0).mean()) for one in (rough, other)]
        assert all(0 < error < 0.3 for error in errors), errors
        print(f"{name}: error {errors[0]:.3f} in ONNX Runtime, {errors[1]:.3f} in OpenVINO")


def test_seed(folder):
    """The seed decides which views are taken, and so the file."""
    made = []
    for seed in (1, 1, 2):
        assert quantise(folder, "student.onnx", "-o", "int8.onnx", "--cache", "cache", "--images", "images", "--groups", 1,
                        "--seed", seed).returncode == 0
        made.append((folder / "int8.onnx").read_bytes())
    assert made[0] == made[1] != made[2]


def bench(folder, *words):
    return subprocess.run([BIN / "vitrine-bench", "inference", *map(str, words), "--int8", "int8.onnx", "--precision", "fp32", "--peers", "none",
                           "--rounds", "1", "--seconds", "0", "--batches", "2", "--threads", "1", "--json", "--python", sys.executable],
                          cwd=folder, capture_output=True, text=True)


def test_speed(folder):
    """vitrine-bench times the file beside its student, in both runtimes, and with no other network."""
    assert quantise(folder, "student.onnx", "-o", "int8.onnx", "--cache", "cache", "--images", "images", "--groups", 3).returncode == 0
    run = bench(folder, "weights.safetensors", "resnet34", "--size", SIZE, "--classes", 3, "--width", 8)
    assert run.returncode == 0, run.stderr
    student, other = (network["figures"] for network in json.loads(run.stdout)["networks"])
    assert [(each["runtime"], each["precision"]) for each in student] == [("vitrine", "fp32"), ("onnxruntime", "int8"), ("openvino", "int8")]
    assert all(each["images_per_second"] > 0 for each in student), student
    assert all(1e-5 < each["relative_error"] < 0.5 for each in student[1:]), student
    assert len(other) == 1, other
    run = bench(folder, "resnet18", "--size", SIZE, "--classes", 4)
    assert run.returncode == 2 and "int8.onnx: is not of a network that is measured" in run.stderr and run.stderr.count("\n") == 1, run


def spread(state, reach, made_by, read_by):
    """Factors of 2^-reach to 2^reach on the channels that these BatchNorms make, and their inverse where these layers read them."""
    factors = 2 ** torch.empty(len(state[made_by[0] + ".weight"])).uniform_(-reach, reach)
    for name in made_by:
        state[name + ".weight"] *= factors
        state[name + ".bias"] *= factors
    for name in read_by:
        state[name + ".weight"] /= factors.view(1, -1, *[1] * (state[name + ".weight"].dim() - 2))


def make_uneven_students(folder):
    """The student with channels of very different ranges, so that one step for all of them rounds most away, but of the same function:
    between a block's two convolutions (uneven.onnx), and also along the shortcuts (worse.onnx), which equalising does not reach. And a
    cache whose logits are its own, in float32."""
    state = safetensors.torch.load_file(folder / "weights.safetensors")
    with safetensors.safe_open(folder / "weights.safetensors", "pt") as file:
        record = file.metadata()

    def export(name):
        safetensors.torch.save_file(state, folder / f"{name}.safetensors", record)
        subprocess.run([BIN / "vitrine-export", folder / f"{name}.safetensors", "--format", "onnx", "-o", folder / f"{name}.onnx"],
                       check=True, stdout=subprocess.DEVNULL)
    for stage in (1, 2, 3, 4):
        for block in (0, 1):
            spread(state, 7, [f"layer{stage}.{block}.bn1"], [f"layer{stage}.{block}.conv2"])
    export("uneven")
    for stage in (1, 2, 3, 4):
        spread(state, 2, [f"layer{stage}.{block}.bn2" for block in (0, 1)] + ["bn1" if stage == 1 else f"layer{stage}.0.downsample.1"],
               [f"layer{stage}.1.conv1"] + (["layer1.0.conv1"] if stage == 1 else []) +
               (["fc"] if stage == 4 else [f"layer{stage + 1}.0.conv1", f"layer{stage + 1}.0.downsample.0"]))
    export("worse")
    shutil.copytree(folder / "cache", folder / "own")
    for teacher in (folder / "own").glob("small.*"):
        shutil.rmtree(teacher)
    views = vitrine_cache.Views(folder / "images", vitrine_cache.Cache(folder / "own"), SIZE)
    with vitrine_cache.Writer(folder / "own", "logits", [3], teacher="own", weights=folder / "uneven.safetensors") as writer:
        for pass_, group in writer.missing():
            writer.put(pass_, group, outputs(folder / "uneven.onnx", normalised(views.read(pass_, group))))
    return views


def normalised(pictures):
    planes = vitrine_cache.normalised(torch.from_numpy(pictures).permute(0, 3, 1, 2))
    return numpy.ascontiguousarray(planes.numpy())


def test_tuning(folder):
    """Where channels differ widely 8 bits lose the student. --tune recovers it, with either kind of activations, by equalising where that
    is possible and by training elsewhere."""
    views = make_uneven_students(folder)
    x = normalised(numpy.concatenate([views.read(pass_, group) for pass_ in (5, 6) for group in range(2)]))
    exact = outputs(folder / "uneven.onnx", x)
    assert numpy.abs(outputs(folder / "worse.onnx", x) - exact).max() < 1e-3

    def made(name, *words):
        """The error of the 8-bit logits in root mean square, of the deviation between views, and the losses that the script told."""
        run = quantise(folder, f"{name}.onnx", "-o", "tuned.onnx", "--cache", "own", "--images", "images", "--groups", 3, *words)
        assert run.returncode == 0, run.stderr
        onnx.checker.check_model(onnx.load(folder / "tuned.onnx"), full_check=True)
        error = numpy.sqrt(((outputs(folder / "tuned.onnx", x) - exact) ** 2).mean() / exact.var(0).mean())
        told = re.search(r"tuned for [0-9]+ steps: KL to the teacher in 8 bits ([0-9.]+), then ([0-9.]+)", run.stdout)
        return error, *map(float, told.groups() if told else (0, 0))

    plain, tuned, symmetric = (made("uneven", *words) for words in ([], ["--tune", 5], ["--tune", 5, "--symmetric"]))
    print(f"uneven channels: error {plain[0]:.3f}, tuned {tuned[0]:.3f}, symmetric {symmetric[0]:.3f}")
    assert plain[0] > 0.5 and tuned[0] < 0.25 * plain[0] and symmetric[0] < 0.25 * plain[0]
    how = json.loads(metadata(folder / "tuned.onnx")["vitrine.quantisation"])
    assert how["tuned_steps"] == 5 and how["activations"] == "int8, symmetric"
    zeros = {one.name: onnx.numpy_helper.to_array(one) for one in onnx.load(folder / "tuned.onnx").graph.initializer
             if one.name.endswith("_zero_point")}
    assert zeros and all((zero == 0).all() for zero in zeros.values()), "TensorRT takes no zero points"

    _, before, after = made("worse", "--tune", 40)
    print(f"uneven shortcuts: KL {before:.4f}, trained {after:.4f}")
    assert 0 < after < 0.85 * before
    files = [(made("uneven", "--tune", 2), (folder / "tuned.onnx").read_bytes())[1] for _ in range(2)]
    assert files[0] == files[1], "the seed decides"


def test_network(folder):
    """int8_tuning's network is the graph: in float32, and rounded as ONNX Runtime rounds."""
    for name in ("student", "bytes"):
        model = onnx.load(folder / f"{name}.onnx")
        before = onnx.load(folder / f"{name}.onnx")
        views = vitrine_cache.Views(folder / "images", vitrine_cache.Cache(folder / "cache"), SIZE)
        x = views.read(1, 0) if name == "bytes" else normalised(views.read(1, 0))
        exact = outputs(folder / f"{name}.onnx", x)
        network = int8_tuning.Network(model)
        with torch.no_grad():
            assert numpy.abs(network(torch.from_numpy(x)).numpy() - exact).max() < 1e-4
        int8_tuning.equalise(model)
        assert any(one != other for one, other in zip(model.graph.initializer, before.graph.initializer))
        onnx.save(model, folder / "equal.onnx")
        assert numpy.abs(outputs(folder / "equal.onnx", x) - exact).max() < 1e-4


def test_refusals(folder):
    """One sentence, exit code 2, and no file."""
    (folder / "empty").mkdir()
    four = onnx.load(folder / "student.onnx")
    for entry in four.metadata_props:
        if entry.key == "vitrine.classes":
            entry.value = json.dumps(["ant", "bee", "cat", "dog"])
    onnx.save(four, folder / "other_classes.onnx")
    (folder / "text.onnx").write_text("no model")
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph([], "empty", [], [])), folder / "other.onnx")
    good = ["--cache", "cache", "--images", "images"]
    for words, sentence in ((["absent.onnx", *good], "absent.onnx: is not a file"),
                            (["text.onnx", *good], "text.onnx: cannot be read as ONNX"),
                            (["other.onnx", *good], "does not record its preprocessing"),
                            (["int8.onnx", *good], "is in 8 bits already"),
                            (["student.onnx", *good, "--groups", "0"], "--groups 0"),
                            (["student.onnx", "--cache", "empty", "--images", "images"], "empty"),
                            (["student.onnx", "--cache", "cache", "--images", "empty"], "empty"),
                            (["student.onnx", *good, "--tune", "-1"], "--tune -1 is not allowed"),
                            (["other_classes.onnx", *good, "--tune", "1"], "has 4 classes"),
                            (["hundred.onnx", *good], "no group of views fills its batch of 100")):
        run = quantise(folder, *words, "-o", "new.onnx")
        assert run.returncode == 2 and sentence in run.stderr, (words, run.returncode, run.stderr)
        assert run.stderr.startswith("quantise: ") and run.stderr.count("\n") == 1, run.stderr
        assert not (folder / "new.onnx").exists()
    (folder / "strange/zebra").mkdir(parents=True)
    for words, sentence in ((["nowhere"], "nowhere: is not a folder"), (["empty"], "empty: holds no pictures"),
                            (["strange"], "the class folder zebra is not among")):  # before the work
        run = quantise(folder, "student.onnx", *good, "-o", "new.onnx", "--evaluate", *words)
        assert run.returncode == 2 and sentence in run.stderr and run.stderr.count("\n") == 1, run.stderr
        assert not (folder / "new.onnx").exists()
    before = (folder / "student.onnx").read_bytes()
    (folder / "same.onnx").symlink_to("student.onnx")
    os.mkfifo(folder / "pipe")
    for out, sentence in (("student.onnx", "is the student itself"), ("same.onnx", "is the student itself"),
                          ("pipe", "is not a regular file")):
        run = quantise(folder, "student.onnx", *good, "-o", out)
        assert run.returncode == 2 and sentence in run.stderr and run.stderr.count("\n") == 1, run.stderr
    assert (folder / "student.onnx").read_bytes() == before and not (folder / "pipe").is_file()
    run = quantise(folder, "student.onnx", *good, "-o", "nowhere/new.onnx")
    assert run.returncode == 2 and "its folder does not exist" in run.stderr, run.stderr


def main():
    torch.manual_seed(2)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        extract(folder)
        make_student(folder)
        test_models(folder)
        test_seed(folder)
        test_speed(folder)
        test_network(folder)
        test_tuning(folder)
        test_refusals(folder)


if __name__ == "__main__":
    main()
