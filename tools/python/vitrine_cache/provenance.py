"""What computed a track: the device and the libraries, as track.json's `made_with` records them (FORMAT.md)."""
from __future__ import annotations

import os
import platform
from typing import Any

FLAGS = ("amx_bf16", "amx_fp16", "amx_int8", "avx10_1", "avx10_2", "avx512_bf16", "avx512_fp16")  # that oneDNN goes by


def made_with(device: str, precision: str, micro_batch: int) -> dict[str, Any]:
    """The record of this machine; `device`: "cpu", or a GPU as torch names it."""
    import torch
    libraries = {"libtorch": torch.__version__.split("+")[0]}
    place = torch.device(device)
    if place.type == "cuda":
        major, minor = torch.cuda.get_device_capability(place)
        about: dict[str, Any] = {"kind": "cuda", "name": torch.cuda.get_device_name(place), "capability": f"{major}.{minor}"}
        cudnn = torch.backends.cudnn.version() or 0
        libraries.update(cuda=str(torch.version.cuda), cudnn=f"{cudnn // 10000}.{cudnn % 10000 // 100}.{cudnn % 100}")
    else:
        capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
        limits = [f"{name}={os.environ[name]}" for name in ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA") if name in os.environ]
        about = {"kind": place.type, "name": _cpu_name(), "capability": torch.backends.cpu.get_cpu_capability(),
                 "instruction_sets": [flag.upper() for flag in FLAGS if capabilities.get(flag)] + limits}
    return {"device": about, "precision": precision, "micro_batch": micro_batch, "libraries": libraries}


def _cpu_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next(line.partition(": ")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown"
