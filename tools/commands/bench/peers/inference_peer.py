#!/usr/bin/env python3
"""Other runtimes' inference of a ResNet: the peer of vitrine-bench inference and vitrine choose.

Reads requests from standard input, a JSON object per line, and answers each with one:
  {"load": {"runtime", "precision", "arch", "width", "classes", "weights", "onnx", "size", "batch", "device", "threads", "input"}}
      -> {"network": NUMBER, "logits": [...]}   of the pictures in "input", FP32 [batch, 3, size, size], raw; from PyTorch on a GPU
                                                also "memory": bytes that its allocator gave out at most, from the module on
  {"time": NUMBER, "seconds": S}                -> {"samples": [...]}, seconds per forward, after one as a warm-up
  {"drop": NUMBER}                              -> {}
A request that cannot be met -> {"error": "..."}. Runtimes: torchvision (eager), torch.compile (inductor, frozen), both channels-last and with
weights of the precision; onnxruntime (the file "onnx", all optimisations), openvino. "device": cpu, cuda:N; networks and pictures are there
before they are timed, and a forward ends when the device has finished.
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


def cuda_number(device):
    """N of "cuda:N"; None of "cpu"."""
    return None if device == "cpu" else int(device.partition(":")[2] or 0)


def needs_float(type_name, floats):
    if type_name not in floats:
        raise Unavailable(f"its input is {type_name}; export it with a float input")


class TorchNetwork:
    def __init__(self, spec, compiled):
        import torch

        self.torch, self.device = torch, torch.device(spec["device"])
        self.on_gpu = self.device.type == "cuda"
        if self.on_gpu:
            if not torch.cuda.is_available():
                raise Unavailable(f"its torch {torch.__version__} finds no GPU")
            torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False  # fp32 is FP32, as in vitrine
            torch.cuda.init()  # else there is no allocator yet to reset
            torch.cuda.reset_peak_memory_stats(self.device)
            self.before = torch.cuda.memory_allocated(self.device)
        torch.set_num_threads(spec["threads"])
        self.type = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[spec["precision"]]
        self.module = torchvision_module(torch, spec).to(self.device, self.type).to(memory_format=torch.channels_last)
        if compiled:
            import torch._inductor.config

            torch._inductor.config.freezing = True
            torch._dynamo.reset()
            self.module = torch.compile(self.module)

    def prepare(self, x):
        self.x = self.torch.from_numpy(x).to(self.device, self.type).contiguous(memory_format=self.torch.channels_last)

    def forward(self):
        with self.torch.inference_mode():
            out = self.module(self.x)
        if self.on_gpu:
            self.torch.cuda.synchronize(self.device)
        return out

    def logits(self):
        return self.forward().float().cpu().numpy()

    def memory(self):
        return self.torch.cuda.max_memory_allocated(self.device) - self.before if self.on_gpu else None


class OnnxNetwork:
    def __init__(self, spec):
        import onnxruntime

        self.runtime, self.number = onnxruntime, cuda_number(spec["device"])
        providers = ["CPUExecutionProvider"]
        if self.number is not None:
            if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
                raise Unavailable("unavailable: this onnxruntime has no CUDA")
            providers = [("CUDAExecutionProvider", {"device_id": self.number, "use_tf32": 0}), *providers]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = spec["threads"]
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.log_severity_level = 3
        if spec["precision"] == "int8":  # as tools/DEPLOY.md says that such files are run
            options.add_session_config_entry("session.x64quantprecision", "1")
        self.session = onnxruntime.InferenceSession(spec["onnx"], options, providers=providers)
        if self.number is not None and self.session.get_providers()[0] != "CUDAExecutionProvider":
            raise Unavailable("unavailable: this onnxruntime cannot use the GPU")

    def prepare(self, x):
        given = self.session.get_inputs()[0]
        needs_float(given.type, ["tensor(float)"])
        self.x = {given.name: x}
        if self.number is None:
            return
        self.bound = self.session.io_binding()  # pictures and logits stay on the GPU
        self.bound.bind_ortvalue_input(given.name, self.runtime.OrtValue.ortvalue_from_numpy(x, "cuda", self.number))
        self.bound.bind_output(self.session.get_outputs()[0].name, "cuda", self.number)

    def forward(self):
        if self.number is None:
            return self.session.run(None, self.x)[0]
        self.session.run_with_iobinding(self.bound)
        self.bound.synchronize_outputs()
        return self.bound

    def logits(self):
        out = self.forward()
        return out if self.number is None else out.copy_outputs_to_cpu()[0]

    def memory(self):
        return None


class OpenvinoNetwork:
    def __init__(self, spec):
        if spec["device"] != "cpu":
            raise Unavailable("unavailable: OpenVINO does not run on an NVIDIA GPU")
        import openvino

        core = openvino.Core()
        model = core.read_model(spec["onnx"])
        needs_float(model.inputs[0].get_element_type().get_type_name(), ["f32", "float"])
        model.reshape([spec["batch"], 3, spec["size"], spec["size"]])
        hint = {"fp32": "f32", "bf16": "bf16", "fp16": "f16", "int8": "f32"}[spec["precision"]]  # of what is not in 8 bits
        settings = {"INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": spec["threads"], "PERFORMANCE_HINT": "LATENCY"}
        self.request = core.compile_model(model, "CPU", settings).create_infer_request()

    def prepare(self, x):
        self.x = {0: x}

    def forward(self):
        return self.request.infer(self.x)[0]

    logits = forward

    def memory(self):
        return None


def load(spec):
    import numpy

    runtime = spec["runtime"]
    if runtime == "onnxruntime" and spec["precision"] not in ("fp32", "int8"):
        raise Unavailable(f"has no {spec['precision']} {'on a CPU' if spec['device'] == 'cpu' else 'for a graph in fp32'}")
    make = {"torchvision": lambda: TorchNetwork(spec, False), "torch.compile": lambda: TorchNetwork(spec, True),
            "onnxruntime": lambda: OnnxNetwork(spec), "openvino": lambda: OpenvinoNetwork(spec)}
    network = make[runtime]()
    shape = (spec["batch"], 3, spec["size"], spec["size"])
    network.prepare(numpy.fromfile(spec["input"], dtype=numpy.float32, count=int(numpy.prod(shape))).reshape(shape))
    return network, network.logits().ravel().tolist(), network.memory()


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
        network, logits, memory = load(request["load"])
        networks.append(network)
        return {"network": len(networks) - 1, "logits": logits, **({} if memory is None else {"memory": memory})}
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
