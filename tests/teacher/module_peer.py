"""Teachers that Vitrine does not build itself: holds the maps of small Hiera, Swin, hybrid and XCiT models against timm's; exports timm's
ConvNeXt and a ViT, extracts a cache from each, and holds the cached values against the model in PyTorch on the same pictures. The ViT
also as a package that AOTInductor compiled."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import zipfile

import numpy as np
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

SOURCE = pathlib.Path(os.environ["VITRINE_SOURCE"])
BIN = pathlib.Path(os.environ["VITRINE_BIN"])
sys.path[:0] = [str(SOURCE / "tools" / "python"), str(SOURCE / "tools" / "scripts")]
import export_teacher  # noqa: E402
from vitrine_cache import Cache, VitrineDataset  # noqa: E402

SIZE, BATCH = 64, 4
torch.set_num_threads(1)


def run(*words):
    process = subprocess.run([str(word) for word in words], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return process.returncode, process.stdout


def draw(folder):
    random_numbers = np.random.default_rng(1)
    for name in ("ant", "bee"):
        (folder / name).mkdir(parents=True)
        for i in range(4):
            y, x = np.mgrid[:70 + 5 * i, :90 - 3 * i]
            waves = [128 + 90 * np.sin(x / a + y / b) for a, b in random_numbers.uniform(2, 20, (3, 2))]
            Image.fromarray(np.clip(np.stack(waves, -1), 0, 255).astype(np.uint8)).save(folder / name / f"{i}.png")


def export(name, output, weights, *more):
    code, out = run(sys.executable, SOURCE / "tools" / "scripts" / "export_teacher.py", name, "-o", output, "--weights", weights,
                    "--classes", 2, "--size", SIZE, "--micro-batch", BATCH, *more)
    assert code == 0, out
    return out


def config(folder, module, cache, taps):
    path = folder / f"{cache}.toml"
    path.write_text(f"""
images = '{folder}/images'
cache = '{folder}/{cache}'
workers = 2
check_images = 8
allow_chance = true
[teacher]
module = '{module}'
micro_batch = {BATCH}
[taps]
logits_encoding = 'fp32'
embedding_encoding = 'fp32'
features_encoding = 'fp32'
attention_encoding = 'fp32'
embedding = true
{taps}
[plan]
group = 8
image_size = {SIZE}
""")
    return path


def check(folder, name, module, taps, expected):
    """`expected`: a function from normalised pictures to {track name: values}."""
    path = config(folder, module, pathlib.Path(module).name.replace(".", "_"), taps)
    cache = folder / path.stem
    code, out = run(BIN / "vitrine-extract", path)
    assert code == 2 and "--allow module" in out and not cache.exists(), out
    code, out = run(BIN / "vitrine-extract", path, "--allow", "module")
    assert code == 0, out
    assert f"running the code in {module}" in out, out
    model_config = timm.data.resolve_model_data_config(timm.create_model(name))
    batch = VitrineDataset(Cache(str(cache)), str(folder / "images"), [track.name for track in Cache(str(cache)).tracks])[0]
    with torch.no_grad():
        values = expected(batch.normalised(model_config["mean"], model_config["std"]))
    assert set(values) == set(batch.targets), (set(values), set(batch.targets))
    for track, value in values.items():
        error = (batch.targets[track] - value).abs().max().item()
        assert error <= 2e-4 * max(1.0, value.abs().max().item()), (name, track, error)
    code, out = run(BIN / "vitrine-cache", "verify", cache, "--images", folder / "images", "--deep", 8, "--weights", module, "--allow",
                    "module")
    assert code == 0, out
    code, out = run(BIN / "vitrine-cache", "verify", cache, "--images", folder / "images", "--deep", 8, "--weights", module)
    assert code == 2 and "--allow module" in out, out
    print(f"{name}, {pathlib.Path(module).name}: {len(values)} tracks agree")


def normalised(features):
    return torch.nn.functional.layer_norm(features.permute(0, 2, 3, 1), features.shape[1:2], eps=1e-6).permute(0, 3, 1, 2)


def maps_of(name, **options):
    """The exported outputs of a small random model, held against timm's maps; with the names of what these are of."""
    torch.manual_seed(4)
    model = timm.create_model(name, num_classes=3, **options).eval().requires_grad_(False)
    x = torch.randn(2, 3, SIZE, SIZE)
    names = export_teacher.feature_names(model, x[:1])
    module = torch.jit.trace(export_teacher.Teacher(model, names, None, "fp32", "cpu").eval(), x, strict=False, check_trace=False)
    x = torch.randn(2, 3, SIZE, SIZE)
    maps = model.forward_intermediates(x, intermediates_only=True)
    out = module(x)
    assert torch.allclose(out["logits"], model(x), atol=1e-5), name
    assert [key for key in out if key.startswith("features")] == [f"features.{i}" for i in range(len(maps))], (name, list(out))
    for i, value in enumerate(maps):
        assert torch.allclose(out[f"features.{i}"], value, atol=1e-5), (name, i)
    print(f"{name}: {len(maps)} maps as timm's")
    return names, out


def check_maps():
    names, out = maps_of("hiera_tiny_224", img_size=SIZE, embed_dim=16, stages=(1, 1, 2, 1))
    assert len(names) == 4, names  # not the five blocks, whose tokens are in the order of windows
    assert not any(key.startswith("attention") for key in out), list(out)
    maps_of("swin_tiny_patch4_window7_224", img_size=SIZE, window_size=2, embed_dim=16, depths=(1, 1, 2, 1), num_heads=(1, 1, 2, 2))
    _, out = maps_of("vit_tiny_r_s16_p8_224", img_size=SIZE, embed_dim=24, depth=2, num_heads=2)
    grid = out["attention.1"].shape[-1]
    assert out["attention.1"].shape == (2, 2, grid, grid) and out["features.1"].shape[-2:] == (grid, grid), out["attention.1"].shape
    assert (out["attention.1"].flatten(2).sum(2) < 1).all()  # the class token's share is left out
    # Attention between channels is none between tokens.
    _, out = maps_of("xcit_nano_12_p16_224", img_size=SIZE, embed_dim=32, depth=2, num_heads=2)
    assert not any(key.startswith("attention") for key in out), list(out)


def random_weights(name, path, **options):
    torch.manual_seed(3)
    model = timm.create_model(name, **({"num_classes": 2} | options)).eval()
    with torch.no_grad():
        for parameter_name, parameter in model.named_parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, 0.3 / parameter[0].numel() ** 0.5 * 3)
    save_file(model.state_dict(), path)
    return model


def rewritten(source, target, edit):
    """A copy of an archive whose entries are what `edit` makes of name and bytes; None: left out."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            data = edit(name, old.read(name))
            if data is not None:
                new.writestr(name, data)
    return target


def with_card(source, target, change):
    return rewritten(source, target, lambda name, data: json.dumps(change(json.loads(data))) if name.endswith("vitrine.json") else data)


def check_compiled(folder, vit):
    stem = f"packed{os.getpid()}"
    package = folder / f"{stem}.pt2"
    export("test_vit", package, folder / "vit.safetensors", "--precision", "bf16", "--format", "pt2", "--blocks", 5)
    taps = "features = [-1]\nattention = [-1]"
    settings = ["--set", "teacher.precision=bf16", "--set", "passes=6", "--set", "plan.shard_groups=1"]
    path = config(folder, package, "compiled", taps)
    code, out = run(BIN / "vitrine-extract", path, *settings)
    assert code == 2 and "--allow module" in out, (code, out)
    code, out = run(BIN / "vitrine-extract", path, "--allow", "module", *settings, "--set", "workers=1")
    assert code == 0 and f"running the code in {package}" in out, (code, out)

    # The casts are in the package, its head in FP32, and the card's normalisation is applied.
    cache, images = folder / "compiled", folder / "images"
    batch = VitrineDataset(str(cache), str(images), ["logits", "embedding", "features.5", "attention.5"])[0]
    model_config = timm.data.resolve_model_data_config(timm.create_model("test_vit"))
    with torch.no_grad():
        head = vit.head(batch.targets["embedding"])
        logits = vit(batch.normalised(model_config["mean"], model_config["std"]))
    assert (head - batch.targets["logits"]).abs().max() <= 1e-5 * head.abs().max(), "the head is not in FP32"
    error = (logits - batch.targets["logits"]).abs().max() / logits.abs().max()
    assert 1e-5 < error < 0.1, f"{error} is not the error of BF16"
    assert batch.targets["attention.5"].shape[1:] == (2, 4, 4), batch.targets["attention.5"].shape

    # Workers call the package side by side, with the same bytes as one.
    code, out = run(BIN / "vitrine-extract", config(folder, package, "parallel", taps), "--allow", "module", *settings, "--set", "workers=4")
    assert code == 0, out
    shards = sorted(file.relative_to(cache) for file in cache.rglob("*.h5"))
    assert len(shards) >= 6 * 4, shards
    for shard in shards:
        assert (cache / shard).read_bytes() == (folder / "parallel" / shard).read_bytes(), f"{shard} depends on the number of workers"
    code, out = run(BIN / "vitrine-cache", "verify", cache, "--images", images, "--deep", 8, "--weights", package, "--allow", "module")
    assert code == 0, out

    # What cannot run here is refused before it is loaded, and so is what is damaged.
    data = package.read_bytes()
    with zipfile.ZipFile(package) as archive:
        library = next(entry for entry in archive.infolist() if entry.filename.endswith(".so"))
        compiled_as = [json.loads(archive.read(name)) for name in archive.namelist() if name.endswith("_metadata.json")]
    if torch.backends.cpu.get_cpu_capability() != "DEFAULT":
        assert all("INVALID" not in metadata["AOTI_CPU_ISA"] for metadata in compiled_as), f"the code is scalar: {compiled_as}"
    middle = library.header_offset + library.file_size // 2
    (folder / "cut.pt2").write_bytes(data[:len(data) // 2])
    (folder / "flipped.pt2").write_bytes(data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1:])
    with zipfile.ZipFile(folder / "other.pt2", "w") as archive:
        archive.writestr("a/b", "no package")

    def processor(**changes):
        return lambda card: card | {"compiled_for": card["compiled_for"] | changes}

    for name, change in [("gpu", lambda card: card | {"device": "cuda"}), ("machine", processor(machine="s390x")),
                         ("level", processor(capability="AVX1024")), ("sets", processor(instruction_sets=["avx2", "avx1024_bf16"])),
                         ("silent", lambda card: {key: value for key, value in card.items() if key != "compiled_for"})]:
        with_card(package, folder / f"{name}.pt2", change)
    rewritten(package, folder / "bare.pt2", lambda name, data: None if name.endswith("vitrine.json") else data)
    rewritten(package, folder / "empty.pt2", lambda name, data: None if name.endswith(".so") else data)
    for name, wanted, sentence in [("gpu", 2, "was exported for cuda, but teacher.device is cpu"),
                                   ("machine", 2, "was compiled for s390x, but this processor is"),
                                   ("level", 2, "was compiled for AVX1024, but this processor has"),
                                   ("sets", 2, "avx1024_bf16, which this one lacks"),
                                   ("silent", 4, "does not say which processor it was compiled for"),
                                   ("bare", 2, "is a package of PyTorch (.pt2) without the card"),
                                   ("empty", 2, "is a compiled package without a compiled model"),
                                   ("cut", 4, "is cut short"), ("flipped", 4, "checksum"), ("other", 2, "is a zip archive")]:
        code, out = run(BIN / "vitrine-extract", config(folder, folder / f"{name}.pt2", "refused", ""), "--allow", "module", "--set",
                        "teacher.precision=bf16")
        assert code == wanted and sentence in out, (name, code, out)
    left = list(pathlib.Path("/tmp").glob(f"??????/{stem}*"))
    assert not left, f"unpacked packages are left: {left}"

    before = package.read_bytes()
    code, out = run("env", "CXX=/no/compiler", sys.executable, SOURCE / "tools/scripts/export_teacher.py", "test_vit", "-o", package,
                    "--size", SIZE, "--micro-batch", BATCH, "--format", "pt2")
    assert code == 2 and "export_teacher: the model cannot be compiled" in out and "Traceback" not in out, (code, out)
    assert package.read_bytes() == before and not list(folder.glob("tmp*"))
    print(f"{stem}.pt2: compiled, the same with 1 worker and 4")


def main():
    check_maps()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        draw(folder / "images")
        convnext = random_weights("test_convnext", folder / "convnext.safetensors")

        def of_convnext(x):
            seen = []
            handle = convnext.stages[2].register_forward_hook(lambda _m, _i, out: seen.append(out))
            logits = convnext(x)
            handle.remove()
            return {"logits": logits, "embedding": convnext.forward_head(convnext.forward_features(x), pre_logits=True),
                    "features.2": normalised(seen[0])}

        out = export("test_convnext", folder / "convnext.pt", folder / "convnext.safetensors")
        assert "block 2 (stages.2): features" in out, out
        check(folder, "test_convnext", folder / "convnext.pt", "features = [2]", of_convnext)

        vit = random_weights("test_vit", folder / "vit.safetensors", img_size=SIZE)

        def of_vit(x):
            seen = {}
            block = vit.blocks[-1]
            block.attn.fused_attn = False
            handles = [block.register_forward_hook(lambda _m, _i, out: seen.__setitem__("block", out)),
                       block.attn.attn_drop.register_forward_hook(lambda _m, inputs, _o: seen.__setitem__("attention", inputs[0]))]
            logits = vit(x)
            for handle in handles:
                handle.remove()
            grid, last = SIZE // 16, len(vit.blocks) - 1
            return {"logits": logits, "embedding": vit.forward_head(vit.forward_features(x), pre_logits=True),
                    f"features.{last}": normalised(seen["block"][:, 1:].transpose(1, 2).reshape(len(x), -1, grid, grid)),
                    f"attention.{last}": seen["attention"][:, :, 0, 1:].reshape(len(x), -1, grid, grid)}

        export("test_vit", folder / "vit.pt", folder / "vit.safetensors")
        check(folder, "test_vit", folder / "vit.pt", "features = [-1]\nattention = [-1]", of_vit)

        # distil takes precision and micro-batch from the module, and passes the consent on to every step.
        random_weights("test_vit", folder / "five.safetensors", img_size=SIZE, num_classes=5)  # whose features teach, not its logits
        export("test_vit", folder / "five.pt", folder / "five.safetensors", "--classes", 5)
        words = [BIN / "vitrine-distil", folder / "images", "--teacher", folder / "five.pt", "--student", "resnet18", "--out",
                 folder / "run", "--epochs", 1, "--passes", 1, "--size", 32, "--batch", 4]
        code, out = run(*words, "--allow", "module")
        assert code == 0, out
        for name in ("exported/last.safetensors", "exported/student.onnx", "report.html"):
            assert (folder / "run" / name).exists(), (name, out)
        assert f'module = "{folder}/five.pt"' in (folder / "run" / "extract.toml").read_text()

        # In BF16 the casts are part of the module, whose head stays in FP32.
        export("test_vit", folder / "half.pt", folder / "vit.safetensors", "--precision", "bf16")
        path = config(folder, folder / "half.pt", "half", "")
        code, out = run(BIN / "vitrine-extract", path, "--allow", "module", "--set", "teacher.precision=bf16")
        assert code == 0, out
        batch = VitrineDataset(str(folder / "half"), str(folder / "images"), ["logits", "embedding"])[0]
        with torch.no_grad():
            head = vit.head(batch.targets["embedding"])
        assert (head - batch.targets["logits"]).abs().max() <= 1e-5 * head.abs().max(), "the head is not in FP32"

        check_compiled(folder, vit)

        # What a card says of clean crops and its class names are the teacher's; a card without them is of an older script.
        extra = {"vitrine.json": ""}
        module = torch.jit.load(folder / "vit.pt", _extra_files=extra)
        card = json.loads(extra["vitrine.json"])
        path = config(folder, folder / "squash.pt", "named", "")
        for changes, code_wanted, sentence in [({"class_names": ["ant"]}, 4, "names 1 classes, but has 2"),
                                               ({"interpolation": "nearest"}, 0,
                                                'squash.pt says interpolation = "nearest", which is not supported'),
                                               ({"crop_mode": "border"}, 0, 'squash.pt says crop_mode = "border", which is not supported')]:
            torch.jit.save(module, folder / "squash.pt", _extra_files={"vitrine.json": json.dumps(card | changes)})
            code, out = run(BIN / "vitrine-extract", path, "--allow", "module", "--dry-run")
            assert code == code_wanted and sentence in out, (changes, code, out)
        torch.jit.save(module, folder / "squash.pt", _extra_files={"vitrine.json": json.dumps(card | {"class_names": ["bee", "ant"]})})
        code, out = run(BIN / "vitrine-extract", config(folder, folder / "squash.pt", "swapped", ""), "--allow", "module")
        assert code == 0 and "matched by name with the teacher's 2 classes" in out, (code, out)
        assert [json.loads(path.read_text())["names"] for path in (folder / "swapped").glob("*/classes.json")] == [["bee", "ant"]]
        old = {key: value for key, value in card.items() if key not in ("crop_mode", "class_names")}
        torch.jit.save(module, folder / "squash.pt", _extra_files={"vitrine.json": json.dumps(old)})
        code, out = run(BIN / "vitrine-extract", path, "--allow", "module", "--dry-run")
        assert code == 0, out

        before = (folder / "half.pt").read_bytes()
        for block in (-1, 99):
            code, out = run(sys.executable, SOURCE / "tools/scripts/export_teacher.py", "test_vit", "-o", folder / "half.pt", "--blocks", 0, block)
            assert code == 2 and f"--blocks {block} does not exist" in out, (code, out)
        for words, sentence in (("no_such_model", "Unknown model (no_such_model)"),
                                ("test_vit --weights no.pth", "no.pth: is not a file; give a state dict")):
            code, out = run(sys.executable, SOURCE / "tools/scripts/export_teacher.py", *words.split(), "-o", folder / "half.pt", "--size", 64)
            assert code == 2 and f"export_teacher: {sentence}" in out and "Traceback" not in out, (code, out)
        assert (folder / "half.pt").read_bytes() == before and not list(folder.glob("tmp*"))

        # Settings that are part of the exported code.
        path = config(folder, folder / "vit.pt", "refused", "")
        for setting, sentence in [("teacher.precision=bf16", "was exported with fp32"), ("teacher.micro_batch=2", "for 4 views"),
                                  ("teacher.arch=vit_tiny_patch16_224", "part of an exported module"),
                                  ("plan.image_size=96", "is not the teacher's 64"), (f"teacher.weights={folder}/vit.safetensors", "both given")]:
            code, out = run(BIN / "vitrine-extract", path, "--allow", "module", "--set", setting)
            assert code == 2 and sentence in out, (setting, out)
        torch.jit.save(torch.jit.trace(torch.nn.Identity(), torch.ones(1)), folder / "bare.pt")
        (folder / "text.pt").write_text("no module")
        torch.save(vit.state_dict(), folder / "plain.pth")
        for file, sentence in [("bare.pt", "without the card"), ("text.pt", "is a text file"), ("none.pt", "is not a file"),
                               ("plain.pth", "holds weights, not an exported module; set teacher.weights to it"),
                               ("vit.safetensors", "holds weights, not an exported module; set teacher.weights to it")]:
            code, out = run(BIN / "vitrine-extract", config(folder, folder / file, "refused", ""), "--allow", "module")
            assert code == 2 and sentence in out, (file, out)


main()
