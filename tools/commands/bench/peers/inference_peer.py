#!/usr/bin/env python3
"""Other runtimes' inference of a ResNet: the peer of vitrine-bench inference and vitrine choose.

Reads requests from standard input, a JSON object per line, and answers each with one:
  {"load": {"runtime", "precision", "arch", "width", "classes", "weights", "onnx", "size", "batch", "threads", "input"}}
      -> {"network": NUMBER, "logits": [...]}   of the pictures in "input", FP32 [batch, 3, size, size], raw
  {"time": NUMBER, "seconds": S}                -> {"samples": [...]}, seconds per forward, after one as a warm-up
  {"drop": NUMBER}                              -> {}
A request that cannot be met -> {"error": "..."}. Runtimes: torchvision (eager), torch.compile (inductor, frozen), both channels-last and with
weights of the precision; onnxruntime (the file "onnx", all optimisations), openvino.
"""
import json
import os
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


class Unavailable(Exception):
    """Its message is the whole reason."""


def torchvision_module(torch, spec):
    """torchvision's ResNet with the file's weights; with another width each layer is replaced by one of scaled channels."""
    import torchvision
    from safetensors.torch import load_file

    module = getattr(torchvision.models, spec["arch"])(num_classes=spec["classes"])
    if spec["width"] != 64:
        scaled = lambda channels: channels if channels == 3 else channels * spec["width"] // 64
        for parent in list(module.modules()):
            for name, layer in list(parent.named_children()):
                if isinstance(layer, torch.nn.Conv2d):
                    setattr(parent, name, torch.nn.Conv2d(scaled(layer.in_channels), scaled(layer.out_channels), layer.kernel_size, layer.stride,
                                                          layer.padding, bias=False))
                elif isinstance(layer, torch.nn.BatchNorm2d):
                    setattr(parent, name, torch.nn.BatchNorm2d(scaled(layer.num_features)))
        module.fc = torch.nn.Linear(scaled(module.fc.in_features), spec["classes"])
    module.load_state_dict(load_file(spec["weights"]))
    return module.eval()


class TorchNetwork:
    def __init__(self, spec, compiled):
        import torch

        self.torch = torch
        torch.set_num_threads(spec["threads"])
        self.type = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[spec["precision"]]
        self.module = torchvision_module(torch, spec).to(self.type).to(memory_format=torch.channels_last)
        if compiled:
            import torch._inductor.config

            torch._inductor.config.freezing = True
            torch._dynamo.reset()
            self.module = torch.compile(self.module)

    def prepare(self, x):
        self.x = self.torch.from_numpy(x).to(self.type).contiguous(memory_format=self.torch.channels_last)

    def forward(self):
        with self.torch.inference_mode():
            return self.module(self.x)

    def logits(self):
        return self.forward().float().numpy()


class OnnxNetwork:
    def __init__(self, spec):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = spec["threads"]
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.log_severity_level = 3
        if spec["precision"] == "int8":  # as tools/DEPLOY.md says that such files are run
            options.add_session_config_entry("session.x64quantprecision", "1")
        self.session = onnxruntime.InferenceSession(spec["onnx"], options, providers=["CPUExecutionProvider"])

    def prepare(self, x):
        given = self.session.get_inputs()[0]
        if given.type != "tensor(float)":
            raise Unavailable(f"its input is {given.type}; export it with a float input")
        self.x = {given.name: x}

    def forward(self):
        return self.session.run(None, self.x)[0]

    logits = forward


class OpenvinoNetwork:
    def __init__(self, spec):
        import openvino

        core = openvino.Core()
        model = core.read_model(spec["onnx"])
        model.reshape([spec["batch"], 3, spec["size"], spec["size"]])
        hint = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}[spec["precision"]]
        settings = {"INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": spec["threads"], "PERFORMANCE_HINT": "LATENCY"}
        self.request = core.compile_model(model, "CPU", settings).create_infer_request()

    def prepare(self, x):
        self.x = {0: x}

    def forward(self):
        return self.request.infer(self.x)[0]

    logits = forward


def load(spec):
    import numpy

    runtime = spec["runtime"]
    if runtime == "onnxruntime" and spec["precision"] not in ("fp32", "int8"):
        raise Unavailable(f"has no {spec['precision']} on a CPU")
    make = {"torchvision": lambda: TorchNetwork(spec, False), "torch.compile": lambda: TorchNetwork(spec, True),
            "onnxruntime": lambda: OnnxNetwork(spec), "openvino": lambda: OpenvinoNetwork(spec)}
    network = make[runtime]()
    shape = (spec["batch"], 3, spec["size"], spec["size"])
    network.prepare(numpy.fromfile(spec["input"], dtype=numpy.float32, count=int(numpy.prod(shape))).reshape(shape))
    return network, network.logits().ravel().tolist()


def timed(network, seconds):
    network.forward()
    samples, start = [], time.perf_counter()
    while len(samples) < 2 or time.perf_counter() - start < seconds:
        begin = time.perf_counter()
        network.forward()
        samples.append(time.perf_counter() - begin)
    return samples


def answer(request, networks):
    if "load" in request:
        network, logits = load(request["load"])
        networks.append(network)
        return {"network": len(networks) - 1, "logits": logits}
    if "drop" in request:
        networks[request["drop"]] = None
        return {}
    return {"samples": timed(networks[request["time"]], request["seconds"])}


def main():
    out = os.fdopen(os.dup(1), "w")  # the answers' own: libraries may print
    os.dup2(2, 1)
    networks = []
    for line in sys.stdin:
        try:
            reply = answer(json.loads(line), networks)
        except Unavailable as error:
            reply = {"error": str(error)}
        except Exception as error:  # of any library: the benchmark goes on without this network
            reply = {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
        print(json.dumps(reply), file=out, flush=True)


main()
