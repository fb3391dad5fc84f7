#!/usr/bin/env python3
"""Compiles an exported student with Apache TVM to a library for this machine or for another.

    tvm_compile.py STUDENT.onnx -o OUT [--target TARGET] [--cpu NAME] [--batch N] [--time ROUNDS]

STUDENT.onnx is from vitrine-export, with either --input. OUT ends in .so for a library that this machine's compiler links, or in .tar
for its objects, which a compiler for TARGET links. TARGET is "host" or a triple of LLVM, such as aarch64-linux-gnu or
aarch64-linux-android; --cpu is one of LLVM's names of processors, by default this machine's or the target's oldest. The file's
keys (preprocessing, classes, origin) are written beside it, as OUT with the suffix .json. Needs apache-tvm (tools/requirements.txt).

Convolution, bias, shortcut and ReLU become one function each, over channels-last maps, which keeps its sums in registers. --time, for
this machine's library, compares results and time of a batch with ONNX Runtime's, in turn; TVM_NUM_THREADS threads (by default one per core)
for both.
"""
import argparse
import json
import os
import pathlib
import sys
import tempfile
import time

import numpy as np
import onnx
import tvm
from tvm import relax
from tvm.relax import transform
from tvm.relax.frontend.onnx import from_onnx
from tvm.s_tir import Schedule

from student_file import StudentFileError, read_student

COLUMNS, CHANNELS = 8, 32  # of a tile of a convolution's output
ARCHITECTURES = ("aarch64", "arm", "armv7a", "riscv64", "x86_64")


def fail(*words):
    print("tvm_compile:", *words, file=sys.stderr)
    sys.exit(2)


def input_type(model, record, batch):
    """Shape and type of the input, every axis fixed."""
    tensor = model.graph.input[0].type.tensor_type
    size = json.loads(record["vitrine.preprocessing"])["size"]
    own_batch = tensor.shape.dim[0].dim_value  # 0: any
    if batch and own_batch and batch != own_batch:
        fail(f"--batch {batch} does not fit the file's batch of {own_batch}; leave it out")
    shape = [own_batch or batch or 1, *(axis.dim_value or size for axis in tensor.shape.dim[1:])]
    return shape, np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)).name


def make_target(triple, cpu):
    """Of TVM, whose LLVM crashes for an unknown triple and only warns of an unknown processor: both are looked up."""
    words = {} if triple == "host" else {"mtriple": triple}
    if words and triple.split("-")[0] not in ARCHITECTURES:
        fail(f"--target {triple} is not allowed; expected host or a triple of LLVM for {', '.join(ARCHITECTURES)}, such as "
             "aarch64-linux-gnu")
    if not words and not cpu:
        cpu = tvm.target.codegen.llvm_get_system_cpu()
    if cpu and cpu not in tvm.target.codegen.llvm_get_cpu_archlist(tvm.target.Target({"kind": "llvm", **words})):
        fail(f"--cpu {cpu} is not a processor of {triple}; expected one of LLVM's names, such as cortex-a76")
    return tvm.target.Target({"kind": "llvm", **words, **({"mcpu": cpu} if cpu else {})})


def factor(extent, most):
    """The largest factor that is at most `most`."""
    return max(k for k in range(1, most + 1) if extent % k == 0)


def schedule_convolution(function):
    """A fused function with a convolution in NHWC, its output in tiles of COLUMNS x CHANNELS; other functions as they are."""
    schedule = Schedule(tvm.IRModule({"main": function}))
    blocks = {schedule.get(block).name_hint: block for block in schedule.get_child_blocks(schedule.get_sblock("root"))}
    names = list(blocks)
    if "conv2d_nhwc" not in blocks or names[-1] == "conv2d_nhwc":
        return function
    convolution, last = blocks["conv2d_nhwc"], blocks[names[-1]]
    for name in names[names.index("conv2d_nhwc") + 1:-1]:
        schedule.compute_inline(blocks[name])
    image, row, column, channel, *window = schedule.get_loops(convolution)
    column, inner_column = schedule.split(column, [None, factor(schedule.get(column).extent.value, COLUMNS)])
    channel, inner_channel = schedule.split(channel, [None, factor(schedule.get(channel).extent.value, CHANNELS)])
    # Channels outermost: a tile's weights stay in the cache for the whole map.
    schedule.reorder(channel, image, row, column, *window, inner_column, inner_channel)
    tile = schedule.fuse(channel, image, row, column)
    schedule.reverse_compute_at(last, tile)
    schedule.set_scope(convolution, 0, "local")
    schedule.vectorize(schedule.get_loops(last)[-1])
    schedule.vectorize(inner_channel)
    schedule.unroll(inner_column)
    schedule.parallel(tile)
    schedule.decompose_reduction(convolution, window[0])
    if "pad_temp" in blocks:
        *outer, _, inner = schedule.get_loops(blocks["pad_temp"])
        schedule.vectorize(inner)
        schedule.parallel(schedule.fuse(*outer))
    return schedule.mod["main"]


def compile_student(model, shape, dtype, target):
    module = from_onnx(model, shape_dict={"input": shape}, dtype_dict={"input": dtype})
    with target:
        module = tvm.transform.Sequential([
            transform.ConvertLayout({"relax.nn.conv2d": ["NHWC", "HWIO"]}), transform.LegalizeOps(),
            transform.AnnotateTIROpPattern(), transform.FoldConstant(), transform.FuseOps(), transform.FuseTIR(),
            transform.DeadCodeElimination()])(module)
        for name, function in module.functions.items():
            if not isinstance(function, relax.Function):
                module.update_func(name, schedule_convolution(function).with_attrs(function.attrs))
    return tvm.compile(module, target)


def compare(out, student, shape, dtype, rounds):
    """Prints the median milliseconds of a batch in TVM and in ONNX Runtime, and the largest difference of a logit."""
    import onnxruntime
    threads = int(os.environ.get("TVM_NUM_THREADS") or os.cpu_count() or 1)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(student), options, providers=["CPUExecutionProvider"])
    machine = relax.VirtualMachine(tvm.runtime.load_module(str(out)), tvm.cpu())
    values = np.random.default_rng(1).normal(size=shape) if dtype == "float32" else np.random.default_rng(1).integers(0, 256, shape)
    values = values.astype(dtype)
    tensor = tvm.runtime.tensor(values)
    ways = {"TVM": lambda: machine["main"](tensor).numpy(), "ONNX Runtime": lambda: session.run(None, {"input": values})[0]}
    largest = np.abs(ways["TVM"]() - ways["ONNX Runtime"]()).max()
    seconds = {name: [] for name in ways}
    for _ in range(rounds):
        for name, run in ways.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    ours, theirs = (1e3 * np.median(times) for times in seconds.values())
    print(f"{ours:.2f} ms a batch of {shape[0]}, ONNX Runtime {theirs:.2f}: {ours / theirs:.2f} x its time on {threads} threads; "
          f"largest difference of a logit {largest:.2g}")


def publish(out, write):
    """write(path) makes the file aside; it then takes its place."""
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        made = pathlib.Path(folder) / out.name
        write(made)
        os.replace(made, out)


def main(words=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("student", type=pathlib.Path)
    parser.add_argument("-o", "--out", type=pathlib.Path, required=True)
    parser.add_argument("--target", default="host")
    parser.add_argument("--cpu")
    parser.add_argument("--batch", type=int)
    parser.add_argument("--time", type=int, default=0, metavar="ROUNDS")
    options = parser.parse_args(words)
    if options.batch is not None and options.batch < 1:
        fail(f"--batch {options.batch} is not allowed; expected at least 1")
    if options.time < 0:
        fail(f"--time {options.time} is not allowed; expected at least 0")
    if options.time and (options.target != "host" or options.out.suffix != ".so"):
        fail("--time runs the library, and takes a .so for this machine; leave it out")
    if options.out.suffix not in (".so", ".tar"):
        fail(f"{options.out}: ends in neither .so nor .tar; give a library or an archive of objects")
    if options.out.suffix == ".so" and options.target != "host":
        fail(f"{options.out}: is linked by this machine's compiler, which does not link {options.target}; give a .tar")
    if not options.out.parent.is_dir():
        fail(f"{options.out}: its folder does not exist; make it first")
    target = make_target(options.target, options.cpu)
    try:
        model, record = read_student(options.student)
    except StudentFileError as problem:
        fail(problem)
    shape, dtype = input_type(model, record, options.batch)
    executable = compile_student(model, shape, dtype, target)
    record = {**record, "vitrine.input": json.dumps({"shape": shape, "type": dtype}), "vitrine.target": str(target)}
    publish(options.out.with_suffix(".json"), lambda path: path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8"))
    publish(options.out, lambda path: executable.export_library(str(path)))
    print(f"{options.out}: {os.path.getsize(options.out) / 1e6:.1f} MB, input {dtype} {shape}, for {options.target}")
    if options.time:
        compare(options.out, options.student, shape, dtype, options.time)


if __name__ == "__main__":
    main()
