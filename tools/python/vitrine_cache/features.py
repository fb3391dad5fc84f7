"""The last step of decoding the transform encoding, in torch on any device: coefficients over channels to features."""
from __future__ import annotations

import torch
from torch import Tensor

from .errors import InputError
from .track import Track


def to_features(track: Track, coefficients: Tensor) -> Tensor:
    """vectors.T @ coefficients + mean, over channels: [N, C, H, W] to float32 [N, C, H, W]."""
    if coefficients.shape[1:] != track.shape:
        raise InputError(f"coefficients of shape {list(coefficients.shape)} do not fit {track.directory}; expected "
                         f"[N, {', '.join(map(str, track.shape))}]")
    vectors, mean = _basis_on(track, coefficients.device)
    with torch.autocast(coefficients.device.type, enabled=False):
        return (vectors @ coefficients.float().flatten(2) + mean).view(coefficients.shape)


def _basis_on(track: Track, device: torch.device) -> tuple[Tensor, Tensor]:
    """The transposed vectors [C, C] and the mean [C, H * W]; copied once to each device."""
    if device not in track.on_devices:
        basis = track.basis
        vectors, mean = (torch.from_numpy(array.copy()).to(device) for array in (basis.vectors.T, basis.mean))
        track.on_devices[device] = (vectors.contiguous(), mean.flatten(1))
    return track.on_devices[device]
