"""Our ViT against timm's in every family of teachers, in its smallest form, at the native and at another image size:
logits, pooled embedding, every feature tap, every attention tap and every attention rollout, also of the network frozen
in FP32. Each family is also run with what distinguishes it
switched off (a "twist"), which must be told from timm's."""
import json
import os
import tempfile
from functools import partial

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from timm.layers import LayerNorm, SwiGLUPacked
from timm.models import beit, deit, eva, vision_transformer
from timm.models.beit import Beit
from timm.models.deit import VisionTransformerDistilled
from timm.models.eva import Eva
from timm.models.vision_transformer import VisionTransformer

from peer import LIMIT, compare, dump

torch.manual_seed(1)
torch.set_num_threads(1)
VIEWS = 3
ROLLOUT_LIMIT = 1e-6
EPS5 = dict(norm_layer=partial(LayerNorm, eps=1e-5))


class OneHead(VisionTransformerDistilled):
    """transformers' DeiTForImageClassification: a head on the class token alone."""

    def __init__(self, **arguments):
        super().__init__(**arguments)
        del self.head_dist

    def forward_head(self, x, pre_logits=False):
        return x[:, 0] if pre_logits else self.head(x[:, 0])


FILTERS = {VisionTransformer: vision_transformer.checkpoint_filter_fn, Eva: eva.checkpoint_filter_fn,
           VisionTransformerDistilled: deit.checkpoint_filter_fn, OneHead: deit.checkpoint_filter_fn,
           Beit: beit.checkpoint_filter_fn}
SIZES = dict(embed_dim=48, depth=2, num_heads=3, patch_size=8, num_classes=7)
PE = dict(SIZES, attn_type="rope", use_pre_transformer_norm=True, use_rot_pos_emb=True, rope_grid_indexing="xy",
          ref_feat_shape=(5, 5), **EPS5)
CORE = dict(PE, embed_dim=64, num_heads=4, global_pool="map", attn_pool_num_heads=8, attn_pool_mlp_ratio=4.)
DINOV3 = dict(SIZES, qkv_bias=False, init_values=1e-5, rope_type="dinov3", rope_temperature=100, rope_rotate_half=True,
              use_rot_pos_emb=True, use_abs_pos_emb=False, num_reg_tokens=4, use_fc_norm=False, num_classes=0, **EPS5)
EVA02 = dict(SIZES, mlp_ratio=4 * 2 / 3, swiglu_mlp=True, use_rot_pos_emb=True, ref_feat_shape=(16, 16))
ROPE_APE = dict(SIZES, attn_type="rope", init_values=1e-5, global_pool="token", no_embed_class=True, use_rot_pos_emb=True,
                rope_grid_indexing="xy", rope_temperature=100.)
MAP = dict(SIZES, class_token=False, global_pool="map")
NO_ROPE = {"rope": "none"}

# Name: class, arguments, other image size, hints, overridden fields, twists.
FAMILIES = {
    "augreg": (VisionTransformer, SIZES, 56, {}, {}, [{"eps": 0.1}, {"activation": "quick_gelu"}]),
    "odd widths, no qkv bias": (VisionTransformer, dict(SIZES, embed_dim=60, mlp_ratio=48 / 11, qkv_bias=False), 56, {}, {},
                                [{"eps": 0.1}]),
    "dino, mae: no head": (VisionTransformer, dict(SIZES, num_classes=0), 56, {}, {}, [{"pooling": "mean"}]),
    "deit distilled": (VisionTransformerDistilled, SIZES, 56, {}, {}, [{"eps": 0.1}]),
    "deit distilled, one head": (OneHead, SIZES, 56, {}, {}, [{"eps": 0.1}]),
    "deit3": (VisionTransformer, dict(SIZES, no_embed_class=True, init_values=1e-6), 56, {}, {}, [{"eps": 0.1}]),
    "dinov2": (VisionTransformer, dict(SIZES, init_values=1e-5, num_classes=0), 24, {}, {}, [{"pooling": "mean"}]),
    "dinov2 giant, registers": (VisionTransformer,
                                dict(SIZES, init_values=1e-5, reg_tokens=4, no_embed_class=True, num_classes=0,
                                     mlp_ratio=2.66667 * 2, mlp_layer=SwiGLUPacked, act_layer=nn.SiLU), 24, {}, {},
                                [{"activation": "gelu"}, {"pooling": "mean"}]),
    "clip": (VisionTransformer, dict(SIZES, pre_norm=True, **EPS5), 56, {}, {}, [{"activation": "quick_gelu"}]),
    "clip quick_gelu": (VisionTransformer, dict(SIZES, pre_norm=True, act_layer="quick_gelu", **EPS5), 56,
                        {"activation": "quick_gelu"}, {}, [{"activation": "gelu"}]),
    "clipa": (VisionTransformer, dict(SIZES, global_pool="avg", **EPS5), 56, {"naming": "OpenAI CLIP or OpenCLIP"}, {},
              [{"eps": 0.1}, {"pooling": "class"}]),
    "siglip": (VisionTransformer, MAP, 56, {}, {}, [{"activation": "quick_gelu"}]),
    "siglip gelu_tanh": (VisionTransformer, dict(MAP, act_layer="gelu_tanh"), 56, {"activation": "gelu_tanh"}, {},
                         [{"activation": "gelu"}]),
    "siglip gap": (VisionTransformer, dict(SIZES, class_token=False, global_pool="avg", fc_norm=False), 56, {}, {},
                   [{"eps": 0.1}]),
    "pool with registers": (VisionTransformer, dict(MAP, reg_tokens=4), 56, {}, {}, [{"pool_prefix": True}]),
    "sbb reg4 gap": (VisionTransformer, dict(SIZES, class_token=False, no_embed_class=True, reg_tokens=4,
                                             global_pool="avg", init_values=1e-5, mlp_ratio=5.6), 56, {}, {},
                     [{"eps": 0.1}]),
    "beit": (Beit, dict(SIZES, use_abs_pos_emb=False, use_rel_pos_bias=True, init_values=0.1), 56, {}, {},
             [{"pooling": "class"}]),
    "beit, smaller": (Beit, dict(SIZES, use_abs_pos_emb=False, use_rel_pos_bias=True, init_values=0.1), 24, {}, {}, []),
    "eva02 small": (Eva, EVA02, 56, {}, {}, [NO_ROPE, {"rope_reference_grid": 0}]),
    "eva02 large": (Eva, dict(EVA02, qkv_fused=False, scale_mlp=True), 56, {}, {}, [NO_ROPE, {"rope_xy": True}]),
    "eva02 clip": (Eva, dict(EVA02, qkv_fused=False, scale_mlp=True, scale_attn_inner=True, global_pool="token"), 56, {},
                   {}, [NO_ROPE, {"rope_half": True}]),
    "eva giant": (Eva, dict(SIZES, mlp_ratio=6144 / 1408), 56, {}, {}, [{"pooling": "class"}]),
    "sbb rope": (Eva, dict(SIZES, init_values=1e-5, class_token=False, num_reg_tokens=1, use_rot_pos_emb=True,
                           use_abs_pos_emb=False, ref_feat_shape=(16, 16)), 56, {}, {}, [NO_ROPE]),
    "rope ape": (Eva, ROPE_APE, 56, {"arch": "vit_small_patch16_rope_ape_224", "dim": 48, "depth": 2}, {}, [NO_ROPE]),
    "dinov3": (Eva, DINOV3, 56, {}, {}, [NO_ROPE, {"rope_half": False}, {"rope_temperature": 90}, {"pooling": "class"}]),
    "dinov3 qkvb": (Eva, dict(DINOV3, qkv_bias=True), 56, {}, {}, [NO_ROPE]),
    "dinov3 plus": (Eva, dict(DINOV3, swiglu_mlp=True, swiglu_align_to=8), 24, {}, {}, [NO_ROPE]),
    "pe core": (Eva, dict(CORE, rope_grid_offset=1.), 56, {}, {},
                [NO_ROPE, {"rope_xy": False}, {"rope_offset": 0}, {"pool_prefix": False}]),
    "pe core gigantic": (Eva, dict(CORE, class_token=False), 56, {}, {}, [NO_ROPE]),
    "pe core, 8 heads": (Eva, dict(CORE, class_token=False, num_heads=8), 56, {}, {}, []),
}


def randomise(model):
    """Far from the flat attention and the thin branches of a fresh model."""
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "gamma" in name or ("norm" in name and name.endswith("weight")):
                p.normal_(1, 0.2)
            elif "relative_position_bias_table" in name:
                p.normal_(0, 1)
            elif name.endswith(("token", "latent", "pos_embed")):
                p.normal_(0, 0.5)
            else:
                p.normal_(0, 0.16)


def pool_row(pool, x):
    q = pool.q(pool.latent.expand(len(x), -1, -1)).reshape(len(x), 1, pool.num_heads, -1).transpose(1, 2)
    k = pool.kv(x).reshape(len(x), x.shape[1], 2, pool.num_heads, -1).permute(2, 0, 3, 1, 4)[0]
    return (q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5).softmax(-1)[:, :, 0]


def rollouts(maps, prefix, has_class):
    """Abnar and Zuidema's attention rollout from the first block to each, from softmax weights [N, heads, T, T]."""
    out, product = {}, None
    for i, weights in enumerate(maps):
        step = weights.numpy().astype(np.float64).mean(1)
        step = 0.5 * step + 0.5 * np.eye(step.shape[-1])
        step /= step.sum(-1, keepdims=True)
        product = step if product is None else step @ product
        row = product[:, 0] if has_class else product[:, prefix:].mean(1)
        out[f"rollout.{i}"] = torch.from_numpy(row[:, None, prefix:]).float()
    return out


def timm_outputs(model, x):
    """What timm computes, by our names."""
    seen, hooks = {}, []
    prefix = model.num_prefix_tokens
    has_class = getattr(model, "cls_token", None) is not None
    for i, block in enumerate(model.blocks):
        hooks.append(block.register_forward_hook(lambda _m, _i, out, i=i: seen.__setitem__(("block", i), out)))
        block.attn.fused_attn = False  # its softmax passes attn_drop
        hooks.append(block.attn.attn_drop.register_forward_pre_hook(
            lambda _m, args, i=i: seen.__setitem__(("map", i), args[0])))
    grid = model.patch_embed.grid_size[0]
    with torch.no_grad():
        out = {"logits": model(x), "pooled": model.forward_head(model.forward_features(x), pre_logits=True)}
        if model.num_classes == 0:
            del out["logits"]
        for i in range(len(model.blocks)):
            tokens = seen["block", i][:, prefix:]
            out[f"features.{i}"] = F.layer_norm(tokens, tokens.shape[-1:], eps=1e-6)
            maps = seen["map", i]
            rows = maps[:, :, 0] if has_class else maps[:, :, prefix:].mean(2)
            out[f"attention.{i}"] = rows[:, :, prefix:]
        pool = getattr(model, "attn_pool", None)
        last = len(model.blocks) - 1
        if pool is not None and not has_class and pool.num_heads == model.blocks[0].attn.num_heads:
            seen_by_pool = model.forward_features(x)
            if isinstance(model, VisionTransformer):
                seen_by_pool = seen_by_pool[:, prefix:]
            row = pool_row(pool, seen_by_pool)
            out[f"attention.{last}"] = row[:, :, row.shape[2] - grid * grid:]
    out.update(rollouts([seen["map", i] for i in range(last + 1)], prefix, has_class))
    for name, value in out.items():
        if name.startswith("features"):
            out[name] = value.transpose(1, 2).reshape(len(x), -1, grid, grid)
        elif name.startswith(("attention", "rollout")):
            out[name] = value.reshape(len(x), -1, grid, grid)
    for hook in hooks:
        hook.remove()
    return out


def main():
    weights, inputs, requests, expected = {}, {}, [], {}

    def ask(name, family, x, hints, fields):
        requests.append({"name": name, "weights": family, "hints": hints, "structure": fields})
        inputs[name] = x.clone()

    for family, (kind, arguments, other, hints, fields, twists) in FAMILIES.items():
        native = kind(img_size=40, **arguments).eval()
        randomise(native)
        state = native.state_dict()
        weights.update({f"{family}/{name}": tensor for name, tensor in state.items()})
        hints = {"heads": arguments["num_heads"], **hints}
        resized = kind(img_size=other, **arguments).eval()
        resized.load_state_dict(FILTERS[kind](state, resized))
        for size, model in ((40, native), (other, resized)):
            x = torch.randn(VIEWS, 3, size, size)
            name = f"{family} at {size}"
            expected[name] = timm_outputs(model, x)
            ask(name, family, x, dict(hints, image_size=size), fields)
            if size == 40:
                for i, twist in enumerate(twists):
                    ask(f"{name}, twist {i}", family, x, dict(hints, image_size=size), {**fields, **twist})
    flexible = VisionTransformer(img_size=60, **{**SIZES, "patch_size": 12}).eval()
    state = {k.removeprefix("augreg/"): v for k, v in weights.items() if k.startswith("augreg/")}
    flexible.load_state_dict(FILTERS[VisionTransformer](state, flexible))
    x = torch.randn(VIEWS, 3, 60, 60)
    expected["augreg, patch 12"] = timm_outputs(flexible, x)
    ask("augreg, patch 12", "augreg", x, {"heads": 3, "image_size": 60, "patch": 12}, {})

    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(requests, file)
        file.flush()
        ours = dump(["families", file.name], weights, inputs)
    for name, tensors in expected.items():
        worst = 0.0
        for key, theirs in tensors.items():
            limit = ROLLOUT_LIMIT if key.startswith("rollout") else LIMIT
            for prefix in ("", "frozen."):
                worst = max(worst, compare(f"{name}: {prefix}{key}", ours.pop(f"{name}/{prefix}{key}"), theirs, limit))
            # Another view's values, or values near zero, would not pass.
            assert (theirs - theirs.roll(1, 0)).abs().max() > 100 * limit, f"{name}: {key} proves nothing"
        patches = tensors["attention.0"].shape[-1] ** 2
        sharpest = max(tensors[key].max().item() * patches for key in tensors if key.startswith("attention"))
        assert sharpest > 1.5, f"{name}: attention is flat"
        print(f"{name}: largest difference {worst:.2g}")
    for request in requests:
        name = request["name"]
        if ", twist " not in name:
            continue
        theirs = expected[name.split(", twist ")[0]]["pooled"]
        gap = (ours[f"{name}/pooled"] - theirs).abs().max().item()
        assert gap > 3 * LIMIT, f"{name} {request['structure']} is not told apart: {gap:.2g}"
        ours = {key: value for key, value in ours.items() if not key.startswith(name + "/")}
    assert not ours, f"nothing compared {sorted(ours)}"


main()
