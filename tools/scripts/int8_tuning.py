"""Fine-tuning of an exported student with 8-bit weights and activations, for quantise.py: the ONNX graph in PyTorch, each value rounded as
in ONNX Runtime's QDQ form, trained by KL to the cached logits. Rounding has gradient 1 (Bengio, Leonard & Courville 2013); the
steps of activations are learnt (Esser et al. 2020, "Learned step size quantization"), those of weights are max |w| / 127 of their channel.
"""
import copy
import math

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn
from torch.nn import functional

WEIGHTED = ("Conv", "Gemm")
MADE_BY = ("Conv", "Gemm", "Add", "Relu", "GlobalAveragePool")  # whose outputs are rounded
ON_GRID = ("MaxPool", "Flatten")  # whose outputs have the input's step
LEVELS = 255


def rounded(x):
    return x + (x.round() - x).detach()


def attributes(node):
    return {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}


def equalise(model, rounds=3):
    """Divides the channels between two convolutions by factors that bring both weights' ranges together, which changes nothing in
    float32: ReLU(x s) = s ReLU(x) (Nagel et al. 2019, "Data-free quantization through weight equalization and bias correction"). In place."""
    tensors = {one.name: one for one in model.graph.initializer}
    readers = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    for _ in range(rounds):
        for first in model.graph.node:
            followers = readers.get(first.output[0], [])
            if first.op_type != "Conv" or [node.op_type for node in followers] != ["Relu"]:
                continue
            seconds = readers.get(followers[0].output[0], [])
            if [node.op_type for node in seconds] != ["Conv"] or attributes(seconds[0]).get("group", 1) != 1:
                continue
            names = first.input[1], first.input[2], seconds[0].input[1]
            weight, bias, after = (numpy_helper.to_array(tensors[name]).astype(np.float64) for name in names)
            own, other = np.abs(weight).max((1, 2, 3)), np.abs(after).max((0, 2, 3))
            alive = (own > 0) & (other > 0)
            scale = np.where(alive, np.sqrt(np.where(alive, own / np.where(alive, other, 1), 1)), 1)
            made = weight / scale[:, None, None, None], bias / scale, after * scale[None, :, None, None]
            for name, array in zip(names, made):
                tensors[name].CopyFrom(numpy_helper.from_array(array.astype(np.float32), name))


class Activation(nn.Module):
    """Rounds a tensor to 8 bits between `low` and `high`, which contain 0."""

    def __init__(self, low, high, symmetric):
        super().__init__()
        self.symmetric = symmetric
        reach = max(-low, high) if symmetric else high - low
        self.start = (2 * reach if symmetric else reach) / (LEVELS - symmetric) or 1.0
        self.zero = 0 if symmetric else round(-low / self.start)
        self.change = nn.Parameter(torch.zeros(()))  # of the step's logarithm

    def forward(self, x):
        step = self.start * self.change.exp()
        least, most = (-127, 127) if self.symmetric else (-self.zero, LEVELS - self.zero)
        return rounded(x / step).clamp(least, most) * step

    def range(self):
        """low and high, as ONNX Runtime's overrides take them."""
        step = self.start * self.change.exp().item()
        return (-127 * step, 127 * step) if self.symmetric else (-self.zero * step, (LEVELS - self.zero) * step)


class Network(nn.Module):
    """The graph; `quantised` chooses between 8 bits and float32. Weights are trained as multiples of their channel's largest."""

    def __init__(self, model):
        super().__init__()
        self.graph, self.quantised = model.graph, False
        self.fixed = {one.name: torch.from_numpy(numpy_helper.to_array(one).copy()) for one in self.graph.initializer}
        self.shares, self.scales, self.biases = nn.ParameterDict(), {}, nn.ParameterDict()
        readers = {}
        for node in self.graph.node:
            for name in node.input:
                readers.setdefault(name, []).append(node.op_type)
            if node.op_type in WEIGHTED:
                if node.op_type == "Gemm" and attributes(node).get("transB", 0) != 1:
                    raise ValueError(f"{node.name}: a Gemm with weights [in, out] is not one of vitrine-export's")
                weight = self.fixed.pop(node.input[1])
                largest = weight.abs().flatten(1).amax(1).clamp_min(1e-12)
                self.scales[node.input[1]] = largest.view(-1, *[1] * (weight.dim() - 1))
                self.shares[self.key(node.input[1])] = nn.Parameter(weight / self.scales[node.input[1]])
                self.biases[self.key(node.input[2])] = nn.Parameter(self.fixed.pop(node.input[2]))
        taken = {node.input[0] for node in self.graph.node if node.op_type in WEIGHTED}
        made = {node.output[0] for node in self.graph.node if node.op_type in MADE_BY}
        there = {node.output[0] for node in self.graph.node if node.op_type in ON_GRID}
        self.rounded_names = {name for name in (taken | made) - there if readers.get(name) != ["Relu"]}
        self.activations = nn.ModuleDict()

    @staticmethod
    def key(name):
        """A name that PyTorch takes."""
        return name.replace(".", "/")

    def weight(self, name):
        share = self.shares[self.key(name)]
        if self.quantised:
            step = share.detach().abs().flatten(1).amax(1).clamp_min(1e-12).view(-1, *[1] * (share.dim() - 1)) / 127
            share = rounded(share / step) * step
        return share * self.scales[name]

    def forward(self, x, seen=None):
        """`seen(name, tensor)` is called for each tensor that 8 bits would round."""
        values = {self.graph.input[0].name: x, **self.fixed}
        for node in self.graph.node:
            for name in node.input:
                if name in self.rounded_names and name in values:
                    self.touch(name, values, seen)
            values[node.output[0]] = self.run(node, values)
        name = self.graph.output[0].name
        self.touch(name, values, seen)
        return values[name]

    def touch(self, name, values, seen):
        """Rounds a tensor at its first use."""
        if (name, "done") in values:
            return
        values[name, "done"] = True
        if seen is not None:
            seen(name, values[name])
        if self.quantised:
            values[name] = self.activations[self.key(name)](values[name])

    def run(self, node, values):
        x, more = values[node.input[0]], attributes(node)
        kind = node.op_type
        if kind == "Conv":
            top, left, bottom, right = more.get("pads", [0] * 4)
            assert (top, left) == (bottom, right) and more.get("group", 1) == 1
            return functional.conv2d(x, self.weight(node.input[1]), self.biases[self.key(node.input[2])], more.get("strides", 1), (top, left))
        if kind == "Gemm":
            return functional.linear(x, self.weight(node.input[1]), self.biases[self.key(node.input[2])])
        if kind == "MaxPool":
            return functional.max_pool2d(x, more["kernel_shape"], more["strides"], more["pads"][:2])
        simple = {"Relu": lambda: x.relu(), "Add": lambda: x + values[node.input[1]], "Sub": lambda: x - values[node.input[1]],
                  "Div": lambda: x / values[node.input[1]], "GlobalAveragePool": lambda: x.mean((2, 3), keepdim=True),
                  "Flatten": lambda: x.flatten(1), "Transpose": lambda: x.permute(*more["perm"]), "Cast": lambda: x.float()}
        if kind not in simple:
            raise ValueError(f"the operator {kind} is not one of vitrine-export's")
        return simple[kind]()

    @torch.no_grad()
    def calibrate(self, batches, symmetric):
        """Makes the activations' ranges: the least and largest value over all batches."""
        ranges = {}

        def seen(name, x):
            low, high = ranges.get(name, (0.0, 0.0))
            ranges[name] = min(low, x.min().item()), max(high, x.max().item())
        for batch in batches:
            self(batch, seen)
        for name, (low, high) in ranges.items():
            self.activations[self.key(name)] = Activation(low, high, symmetric)
        self.calibrated = list(ranges)

    def exported(self, model):
        """A copy of the model with the weights, and the activations' ranges by tensor."""
        out = copy.deepcopy(model)
        with torch.no_grad():
            arrays = {name: self.shares[self.key(name)] * scale for name, scale in self.scales.items()}
            for node in self.graph.node:
                if node.op_type in WEIGHTED:
                    arrays[node.input[2]] = self.biases[self.key(node.input[2])]
        for one in out.graph.initializer:
            if one.name in arrays:
                one.CopyFrom(numpy_helper.from_array(arrays[one.name].detach().numpy(), one.name))
        return out, {name: self.activations[self.key(name)].range() for name in self.calibrated}


def tune(model, calibration, batches, loss, steps, symmetric=False, rate=1e-5, step_rate=1e-3):
    """Fine-tunes `steps` steps on `batches`, an iterator of (input, target), at rates that rise for a tenth of them and then fall as half a
    cosine. `calibration`: a list of such pairs, for the ranges and for the 8-bit loss, which is measured up to ten times; the weights with the
    lowest one are kept, the first ones included. Returns the model with its new weights, the ranges, and that loss before and after."""
    model = copy.deepcopy(model)
    equalise(model)
    network = Network(model)
    network.calibrate((x for x, _ in calibration), symmetric)
    network.quantised = True

    @torch.no_grad()
    def mean_loss():
        return float(np.mean([loss(network(x), target).item() for x, target in calibration]))
    before = best = mean_loss()
    kept = copy.deepcopy(network.state_dict())
    weights = [*network.shares.values(), *network.biases.values()]
    groups = [{"params": weights, "lr": rate}, {"params": list(network.activations.parameters()), "lr": step_rate}]
    adam = torch.optim.Adam(groups)
    rise = max(1, steps // 10)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        adam, lambda step: min(1, (step + 1) / rise) * 0.5 * (1 + math.cos(math.pi * step / steps)))
    for step in range(1, steps + 1):
        x, target = next(batches)
        adam.zero_grad()
        loss(network(x), target).backward()
        adam.step()
        schedule.step()
        if step == steps or step % max(1, steps // 10) == 0:
            now = mean_loss()
            if now < best:
                best, kept = now, copy.deepcopy(network.state_dict())
    network.load_state_dict(kept)
    return *network.exported(model), before, best
