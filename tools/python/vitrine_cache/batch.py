"""What a data set gives: a batch of views with their targets, as tensors on one device."""
from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from .colours import IMAGENET_MEAN, IMAGENET_STD
from .errors import InputError


@dataclasses.dataclass
class TopK:
    """Targets of a topk track as they are stored: a teacher's k largest logits, and the mass of the others."""
    values: Tensor             # float32 [N, k], the largest first
    indices: Tensor            # int64 [N, k], their classes
    tails: dict[float, Tensor]  # {temperature: float32 [N]}: log sum exp(logit / temperature) over the other classes
    classes: int               # K

    def dense(self, temperature: float | None = None) -> Tensor:
        """All K logits, float32 [N, K]: the classes that were not kept share their mass at this temperature (by default
        the track's first one) equally. A softmax of the result is right only at that temperature.

        >>> topk = TopK(torch.tensor([[2.0]]), torch.tensor([[1]]), {1.0: torch.tensor([math.log(2.0)])}, classes=3)
        >>> topk.dense().round(decimals=4).tolist()
        [[0.0, 2.0, 0.0]]
        """
        temperature = next(iter(self.tails)) if temperature is None else temperature
        others = temperature * (self.tail(temperature).double() - math.log(self.classes - self.values.shape[1]))
        return others.float().unsqueeze(1).repeat(1, self.classes).scatter(1, self.indices, self.values)

    def tail(self, temperature: float) -> Tensor:
        """The mass of the others at a temperature, which must be one of the track's."""
        if temperature not in self.tails:
            raise InputError(f"the temperature {temperature} has no tail; expected one of the track's: "
                             f"{', '.join(map(str, self.tails))}")
        return self.tails[temperature]


def map_tensors(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """A Batch, TopK, dict or tensor with `change` applied to each tensor; other values as they are."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, dict):
        return {key: map_tensors(part, change) for key, part in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.replace(value, **{field.name: map_tensors(getattr(value, field.name), change)
                                             for field in dataclasses.fields(value)})
    return value


def concatenate(parts: Sequence[Any]) -> Any:
    """Joins Batches, TopKs, dicts or tensors along the axis of views."""
    first = parts[0]
    if isinstance(first, Tensor):
        return torch.cat(list(parts))
    if isinstance(first, dict):
        return {key: concatenate([part[key] for part in parts]) for key in first}
    if dataclasses.is_dataclass(first) and not isinstance(first, type):
        return dataclasses.replace(first, **{field.name: concatenate([getattr(part, field.name) for part in parts])
                                             for field in dataclasses.fields(first)})
    return first


@dataclasses.dataclass
class Batch:
    """N views. A view's label is `labels` with the share `lam` and `mixed_labels` with the rest, as in timm's Mixup."""
    images: Tensor         # uint8 [N, 3, size, size], or what a transform made of it
    labels: Tensor         # int64 [N]; -100, cross_entropy's ignore_index: none
    mixed_labels: Tensor   # int64 [N], of the view that is mixed in
    lam: Tensor            # float32 [N], in [0, 1]; 1: not mixed
    left_out: Tensor       # bool [N]: a view without pixels, labels and targets (VitrineDataset.drop_left_out)
    targets: dict[str, Tensor | TopK]  # by track: float32 [N, shape...]
    image: Tensor = dataclasses.field(default_factory=lambda: torch.empty(0, dtype=torch.int64))  # int64 [N]: in Cache.ids
    geometry: Tensor = dataclasses.field(default_factory=lambda: torch.empty(0, 4))  # float32 [N, 4]: Views.geometry()

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device | str, channels_last: bool = False, non_blocking: bool = True) -> Batch:
        """A copy on a device; `channels_last`: with images in that memory format. Copies to the CPU always block, as their
        result could be read too early."""
        later = non_blocking and torch.device(device).type != "cpu"
        moved: Batch = map_tensors(self, lambda tensor: tensor.to(device, non_blocking=later))
        if channels_last:
            moved.images = moved.images.contiguous(memory_format=torch.channels_last)
        return moved

    def pin_memory(self) -> Batch:
        """A copy in page-locked memory. DataLoader(pin_memory=True) calls this."""
        pinned: Batch = map_tensors(self, lambda tensor: tensor.pin_memory())
        return pinned

    def normalised(self, mean: Sequence[float] = IMAGENET_MEAN, std: Sequence[float] = IMAGENET_STD,
                   dtype: torch.dtype = torch.float32) -> Tensor:
        """normalised(images, mean, std)."""
        return normalised(self.images, mean, std, dtype)


def place_boxes(boxes: Tensor, geometry: Tensor) -> Tensor:
    """Boxes [M, 4] of one image (left, top, right, bottom in its pixels) in the pixels of a view, whose row of Batch.geometry
    is `geometry`, [4]. They are not clipped to the view.

    >>> place_boxes(torch.tensor([[10., 20., 30., 60.]]), torch.tensor([-0.5, 0.5, 320., 80.]))
    tensor([[305.,  90., 315., 110.]])
    """
    corners = boxes.view(-1, 2, 2) * geometry[:2] + geometry[2:]
    return torch.cat([corners.amin(1), corners.amax(1)], 1)


def normalised(images: Tensor, mean: Sequence[float] = IMAGENET_MEAN, std: Sequence[float] = IMAGENET_STD,
               dtype: torch.dtype = torch.float32) -> Tensor:
    """Images, uint8 [N, 3, height, width], as (value / 255 - mean) / std, on their device and in their memory format. `mean` and
    `std` are of colours in 0..1; by default ImageNet's.

    >>> images = torch.tensor([0, 255, 51], dtype=torch.uint8).view(1, 3, 1, 1)
    >>> [round(value, 4) for value in normalised(images, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)).flatten().tolist()]
    [-1.0, 1.0, -0.6]
    """
    if images.dtype != torch.uint8:
        raise InputError(f"images of type {images.dtype} are not normalised; expected uint8, so leave that to this function or to "
                         "the transform, not both")
    numbers = [_colours(name, colours) for name, colours in (("mean", mean), ("std", std))]
    if not (numbers[1] > 0).all():
        raise InputError(f"std = {list(std)} is not allowed; expected three numbers above 0")
    centre, scale = (255 * three.view(1, 3, 1, 1) for three in numbers)
    shift, factor = (-centre / scale).to(images.device), (1 / scale).to(images.device)
    return torch.addcmul(shift, images.float(), factor).to(dtype)


def _colours(name: str, colours: Sequence[float]) -> Tensor:
    try:
        found = torch.tensor([float(colour) for colour in colours])
    except (TypeError, ValueError):
        found = torch.zeros(0)
    if found.shape != (3,) or not ((found >= 0) & (found <= 1)).all():
        raise InputError(f"{name} = {colours!r} is not allowed; expected three numbers, of colours in 0..1")
    return found
