#!/usr/bin/env python3
"""Makes the class text embeddings of a vision-language model, for vitrine-extract's teacher.zero_shot.

    zero_shot_head.py MODEL --classes FILE -o FILE [--pretrained TAG] [--templates FILE]

MODEL and TAG are open_clip's (or MODEL is local-dir:FOLDER with an open_clip checkpoint); --classes has one class name per line, in the
order of the class folders' names, with the words for prompts after a tab where they differ ("n01440764<TAB>tench"). Each class's row is
the normalised mean of its prompts' normalised embeddings. Needs open_clip and the model's weights on this machine.
"""
import argparse
import json
import math
import os
import pathlib
import sys

import torch
from safetensors.torch import save_file

TEMPLATES = ["a photo of a {}.", "a bad photo of a {}.", "a photo of the large {}.", "a photo of the small {}.", "a drawing of a {}.",
             "a close-up photo of a {}.", "itap of a {}."]


def fail(*words):
    print("zero_shot_head:", *words, file=sys.stderr)
    sys.exit(2)


def lines_of(path):
    try:
        return pathlib.Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        fail(f"{path}: cannot be read as text: {getattr(error, 'strerror', None) or error}")


def check_output(path):
    """Before the minutes that the embeddings take."""
    if not os.path.isdir(os.path.dirname(path) or "."):
        fail(f"{path}: its folder does not exist; make it first")
    if os.path.exists(path) and not os.path.isfile(path):
        fail(f"{path}: is not a regular file; name another with -o")


def read_classes(path):
    """[(folder name, words for prompts)]"""
    out = []
    for line in lines_of(path):
        if line.strip():
            name, _, words = line.partition("\t")
            out.append((name.strip(), (words or name).strip().replace("_", " ")))
    if len(out) < 2 or len({name for name, _ in out}) < len(out):
        fail(f"{path}: expected at least two different class names, one per line")
    return out


def text_rows(encode, classes, templates):
    """[classes, values]: `encode` maps a list of prompts to embeddings."""
    rows = []
    for _, words in classes:
        embeddings = torch.nn.functional.normalize(encode([template.format(words) for template in templates]).double(), dim=-1)
        rows.append(torch.nn.functional.normalize(embeddings.mean(0), dim=-1))
    return torch.stack(rows).float()


def write(path, rows, scale, bias, classes):
    tensors = {"text": rows, "logit_scale": torch.tensor(float(scale))}
    if bias is not None:
        tensors["logit_bias"] = torch.tensor(float(bias))
    save_file(tensors, path, metadata={"classes": json.dumps([name for name, _ in classes])})
    print(f"{path}: {rows.shape[0]} classes, {rows.shape[1]} values, scale {scale:.4g}" + (f", bias {bias:.4g}" if bias is not None else ""))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("--classes", required=True, metavar="FILE")
    parser.add_argument("-o", "--output", required=True, metavar="FILE")
    parser.add_argument("--pretrained", default="", metavar="TAG")
    parser.add_argument("--templates", metavar="FILE", help="one prompt per line, with {} for the class")
    args = parser.parse_args()
    check_output(args.output)
    classes = read_classes(args.classes)
    templates = TEMPLATES
    if args.templates:
        templates = [line for line in lines_of(args.templates) if line.strip()]
        if not templates or any("{}" not in line for line in templates):
            fail(f"{args.templates}: each line must contain {{}}, for the class")
    try:
        import open_clip
    except ImportError:
        fail("open_clip is not installed in this Python; pip install open_clip_torch")
    model, _, _ = open_clip.create_model_and_transforms(args.model, pretrained=args.pretrained or None)
    tokenizer = open_clip.get_tokenizer(args.model)
    model.eval()
    with torch.no_grad():
        rows = text_rows(lambda prompts: model.encode_text(tokenizer(prompts)), classes, templates)
        bias = getattr(model, "logit_bias", None)
        write(args.output, rows, math.exp(model.logit_scale.item()), None if bias is None else bias.item(), classes)


if __name__ == "__main__":
    main()
