"""Python helpers of tools/gpu_check.sh: pictures and weights, peers' rates, the table of results."""
import csv
import ctypes
import json
import os
import re
import struct
import sys
import time
import zlib


def figures(path, **values):
    with open(path, "a", encoding="utf-8") as out:
        for key, value in values.items():
            print(key, value if isinstance(value, str) else f"{value:.6g}", file=out)


def driver(path, device):
    import torch

    figures(path, torch=torch.__version__, cuda=str(torch.version.cuda), cores=str(len(os.sched_getaffinity(0))))
    if device == "cpu":
        return
    properties = torch.cuda.get_device_properties(0)
    figures(path, gpu=properties.name.replace(" ", "_"), capability=f"{properties.major}.{properties.minor}",
            memory_gib=properties.total_memory / 2**30, gpus=str(torch.cuda.device_count()),
            cudnn=str(torch.backends.cudnn.version()))
    print("a product on the GPU:", (torch.ones(4, 4, device="cuda") @ torch.ones(4, 4, device="cuda")).sum().item())


def memory(tensor):
    """A tensor's bytes, without NumPy, which may be missing."""
    tensor = tensor.contiguous()
    return ctypes.string_at(tensor.data_ptr(), tensor.nbytes)


def png(pixels):
    """Writes [H, W, 3] uint8 as a PNG."""
    height, width, _ = pixels.shape

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = pixels.new_zeros(height, 1 + 3 * width)  # each begins with its filter: 0, none
    rows[:, 1:] = pixels.reshape(height, -1)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(memory(rows), 1)) + chunk(b"IEND", b""))


def save_safetensors(path, tensors):
    header, offset = {}, 0
    for name, tensor in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [offset, offset + tensor.nbytes]}
        offset += tensor.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors.values():
            out.write(memory(tensor))


def vit_weights(dim, depth, classes):
    """Random weights with timm's names and initialisation."""
    import torch

    torch.manual_seed(1)
    tensors = {"cls_token": torch.randn(1, 1, dim) * 1e-6, "pos_embed": torch.randn(1, 197, dim) * 0.02,
               "patch_embed.proj.weight": torch.randn(dim, 3, 16, 16) * 0.02, "patch_embed.proj.bias": torch.zeros(dim)}

    def linear(name, inputs, outputs):
        tensors[name + ".weight"] = torch.randn(outputs, inputs) * 0.02
        tensors[name + ".bias"] = torch.zeros(outputs)

    def norm(name):
        tensors[name + ".weight"], tensors[name + ".bias"] = torch.ones(dim), torch.zeros(dim)

    for block in range(depth):
        norm(f"blocks.{block}.norm1")
        linear(f"blocks.{block}.attn.qkv", dim, 3 * dim)
        linear(f"blocks.{block}.attn.proj", dim, dim)
        norm(f"blocks.{block}.norm2")
        linear(f"blocks.{block}.mlp.fc1", dim, 4 * dim)
        linear(f"blocks.{block}.mlp.fc2", 4 * dim, dim)
    norm("norm")
    linear("head", dim, classes)
    return tensors


def prepare(folder, count, device):
    """Draws pictures in four classes: smooth colours and noise, which compress like photographs."""
    import torch

    torch.manual_seed(2)
    for label in range(4):
        os.makedirs(os.path.join(folder, "images", f"class{label}"))
        for number in range(int(count) // 4):
            coarse = torch.rand(1, 3, 8, 8) * 200 + 20
            smooth = torch.nn.functional.interpolate(coarse, (256, 288), mode="bilinear")[0].permute(1, 2, 0)
            pixels = (smooth + torch.randn(256, 288, 1) * 6).clamp(0, 255).to(torch.uint8)
            with open(os.path.join(folder, "images", f"class{label}", f"{number}.png"), "wb") as out:
                out.write(png(pixels))
    save_safetensors(os.path.join(folder, "tiny.safetensors"), vit_weights(192, 12, 4))
    os.link(os.path.join(folder, "tiny.safetensors"), os.path.join(folder, "vit_tiny_patch16_224.safetensors"))
    if device != "cpu":
        save_safetensors(os.path.join(folder, "vit_base_patch16_224.safetensors"), vit_weights(768, 12, 4))


def read_log(path):
    with open(path, encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if row["event"] == "step"]


def losses(path, log):
    rows = read_log(log)
    values = [float(row["loss"]) for row in rows]
    assert len(values) == 20 and all(v == v and abs(v) != float("inf") for v in values), values
    figures(path, steps=str(len(values)), first_loss=values[0], last_loss=values[-1])


def hold(flag):
    """Holds all of the GPU's memory but 700 MiB until killed: a context fits, a forward pass does not."""
    import torch

    torch.cuda.init()
    free = torch.cuda.mem_get_info()[0]
    held = torch.empty(max(0, free - 700 * 2**20), dtype=torch.uint8, device="cuda")
    open(flag, "wb").close()
    time.sleep(120)
    del held


def rate(path, views, start, middle, end):
    work, idle = float(middle) - float(start), float(end) - float(middle)
    figures(path, views=views, seconds=work, start_up_seconds=idle, views_per_s=int(views) / max(work - idle, 1e-3))


def train_rate(path, log, batch):
    rows = read_log(log)
    first, last = rows[len(rows) // 3], rows[-1]
    steps, seconds = int(last["step"]) - int(first["step"]), float(last["seconds"]) - float(first["seconds"])
    figures(path, steps=str(steps), images_per_s=steps * int(batch) / seconds)
    if "wait_share" in last:
        figures(path, wait_share=float(last["wait_share"]))


def peer(path, device, arch, precision, batch, size="224"):
    """A ViT's forward pass (timm), or a ResNet's training step (torchvision), on random input."""
    import torch

    batch, size, is_vit = int(batch), int(size), arch.startswith("vit")
    try:
        if is_vit:
            import timm

            model = timm.create_model(arch, num_classes=4)
        else:
            import torchvision

            model = getattr(torchvision.models, arch)(num_classes=4)
    except ImportError as error:
        figures(path, peer=f"none:_{error.name}_is_not_installed")
        return
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    model = model.to(device).to(memory_format=torch.channels_last)
    x = torch.randn(batch, 3, size, size, device=device).contiguous(memory_format=torch.channels_last)
    y = torch.randint(0, 4, (batch,), device=device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    torch.backends.cudnn.benchmark = not is_vit
    types = {"bf16": torch.bfloat16, "fp16": torch.float16}

    def once():
        with torch.autocast(device.split(":")[0], types.get(precision), enabled=precision in types):
            if is_vit:
                with torch.inference_mode():
                    return model(x)
            loss = torch.nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def wait():
        if device != "cpu":
            torch.cuda.synchronize()

    model.train(not is_vit)
    for _ in range(2 if device == "cpu" else 10):
        once()
    wait()
    start, count = time.time(), 0
    while time.time() - start < 5:
        once()
        count += 1
        if count % 10 == 0:
            wait()
    wait()
    figures(path, peer=("timm_forward" if is_vit else "torchvision_step"), peer_per_s=count * batch / (time.time() - start))


STATES = {"0": "ok", "77": "skipped", "124": "too slow", "137": "too slow", "-1": "left out"}
BAD = {"FAILED": 0, "too slow": 1, "left out": 2}  # and their order in the table


def line(step):
    told = "  ".join(f"{k} {v}" for k, v in step["figures"].items())
    return "\n".join([f"{step['name']:28} {step['state']:9} {step['seconds']:6.1f}  {told}".rstrip()] +
                     [f"    {text[:200]}" for text in step.get("log", [])])


def write_whole(path, text):
    with open(path + ".part", "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(path + ".part", path)


def read_results(results):
    path = os.path.join(results, "results.json")
    if not os.path.exists(path):
        return {"seconds": 0, "steps": []}
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def record(results, name, code, start, seconds, copy):
    """Adds a step to results.json, and prints it."""
    state = STATES.get(code, "FAILED")
    out = {"name": name, "state": state, "exit_code": int(code), "seconds": round(time.time() - float(start), 1), "figures": {}}
    path = os.path.join(results, name + ".figures")
    if os.path.exists(path):
        with open(path, encoding="utf-8", errors="replace") as file:
            # A step that was stopped may have left half a line.
            out["figures"] = dict(words for words in (text.rstrip("\n").split(" ", 1) for text in file) if len(words) == 2)
    log = os.path.join(results, name + ".log")
    if state not in ("ok", "left out") and os.path.exists(log):
        with open(log, encoding="utf-8", errors="replace") as file:
            lines = [text.strip() for text in file if text.strip()]
        telling = [text for text in lines if re.search(r"\berror: |ERROR|skipped:|^vitrine-[a-z]+: ", text)] or lines
        out["log"] = telling[-3:]
    print(line(out), flush=True)
    all_steps = read_results(results)
    all_steps["seconds"] = int(seconds)
    all_steps["steps"].append(out)
    for place in filter(None, [os.path.join(results, "results.json"), copy]):
        write_whole(place, json.dumps(all_steps, indent=1) + "\n")


def table(results):
    """Prints a table of all steps, failed ones first. Exit code 1 if a step failed or there are no steps."""
    found = read_results(results)
    steps = found["steps"]
    print(f"\n{'check':28} {'state':9} {'s':>6}  figures")
    for step in sorted(steps, key=lambda s: BAD.get(s["state"], len(BAD))):
        print(line(step))
    bad = [step["name"] for step in steps if step["state"] in BAD]
    print(f"\n{len(steps) - len(bad)} of {len(steps)} steps without a fault in {found['seconds']} s; "
          f"{os.path.join(results, 'results.json')}")
    sys.exit(1 if bad or not steps else 0)


if __name__ == "__main__":
    name = sys.argv[1].replace("-", "_")
    commands = {f.__name__: f for f in (driver, prepare, losses, hold, rate, train_rate, peer, record, table)}
    commands[name](*sys.argv[2:])
