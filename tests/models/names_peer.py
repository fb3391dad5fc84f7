"""Weight files under other projects' names become timm's. For each naming a small timm model's random weights are written
as that project names them; where timm has a filter for the naming, the filter first proves that the written file is the
model. read_weights() must give the model's own tensors, to the bit."""
import math
import os
import re
import subprocess
import tempfile

import numpy as np
import timm
import torch
import torchvision
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from timm.models import eva, vision_transformer

torch.manual_seed(11)
PROGRAM = [os.path.join(os.environ["VITRINE_BIN"], "peer_values"), "weights"]
SIZES = dict(img_size=28, patch_size=7, embed_dim=24, depth=2, num_heads=2)


def small(name, **arguments):
    """The timm model of that name in small, with random weights."""
    model = timm.create_model(name, **{**SIZES, **arguments})
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter)
    return model.eval()


def renamed(state, rules):
    """Each rule is (regular expression, replacement), applied to every name in turn."""
    out = {}
    for name, tensor in state.items():
        for pattern, replacement in rules:
            name = re.sub(pattern, replacement, name)
        out[name] = tensor
    return out


def split_qkv(state, names):
    """Replaces each fused qkv with three tensors, named by the format strings `names` of a block's number and kind."""
    out = {}
    for name, tensor in state.items():
        match = re.fullmatch(r"blocks\.(\d+)\.attn\.qkv\.(weight|bias)", name)
        if match:
            for one, third in zip(names, tensor.chunk(3)):
                out[one.format(n=match[1], kind=match[2])] = third
        else:
            out[name] = tensor
    return out


CHECKS = []  # what is compared when all files are written


def check(what, state, expected, naming, folder, dropped=0):
    """`expected`: the result for `state`, or a function that checks it."""
    path = os.path.join(folder, f"{len(CHECKS)}.safetensors")
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, path)
    check_file(what, path, expected, naming, dropped)


def check_file(what, path, expected, naming, dropped=0):
    if not callable(expected):
        expected = {name: tensor.clone() for name, tensor in expected.items()}
    CHECKS.append((what, path, expected, naming, dropped))


def compare_all():
    pairs = [name for _, path, *_ in CHECKS for name in (path, path + ".out")]
    subprocess.run([*PROGRAM, "tensors", *pairs], check=True)
    for what, path, expected, naming, dropped in CHECKS:
        got = load_file(path + ".out")
        with safe_open(path + ".out", "pt") as file:
            metadata = file.metadata()
        assert metadata["naming"] == naming, (what, metadata)
        counted = re.search(r"dropped (\d+) tensor", metadata["notes"])
        assert (int(counted[1]) if counted else 0) == dropped, (what, metadata["notes"])
        if callable(expected):
            expected(got)
        else:
            assert got.keys() == expected.keys(), (what, sorted(got.keys() ^ expected.keys()))
            for name, tensor in expected.items():
                assert torch.equal(got[name], tensor), (what, name)
        print(f"{what}: {len(got)} tensors, {dropped} dropped")


def check_filter(what, filtered, model):
    """timm's own filter takes the file for this model."""
    own = model.state_dict()
    filtered = {name: tensor for name, tensor in filtered.items() if name in own or not name.startswith("head")}
    assert filtered.keys() == own.keys(), (what, sorted(filtered.keys() ^ own.keys()))
    for name, tensor in own.items():
        assert torch.equal(filtered[name], tensor), (what, name)


HF_VIT_RULES = [
    (r"^blocks\.(\d+)\.attn\.proj", r"encoder.layer.\1.attention.output.dense"),
    (r"^blocks\.(\d+)\.mlp\.fc1", r"encoder.layer.\1.intermediate.dense"),
    (r"^blocks\.(\d+)\.mlp\.fc2", r"encoder.layer.\1.output.dense"),
    (r"^blocks\.(\d+)\.norm1", r"encoder.layer.\1.layernorm_before"),
    (r"^blocks\.(\d+)\.norm2", r"encoder.layer.\1.layernorm_after"),
    (r"^cls_token", "embeddings.cls_token"),
    (r"^dist_token", "embeddings.distillation_token"),
    (r"^pos_embed", "embeddings.position_embeddings"),
    (r"^patch_embed\.proj", "embeddings.patch_embeddings.projection"),
    (r"^norm\.", "layernorm."),
]
HF_SPLIT = ["encoder.layer.{n}.attention.attention.%s.{kind}" % one for one in ("query", "key", "value")]


def hf_vit(folder):
    model = small("vit_tiny_patch16_224", num_classes=5)
    state = renamed(split_qkv(model.state_dict(), HF_SPLIT), HF_VIT_RULES)
    heads = {"classifier." + kind: state.pop("head." + kind) for kind in ("weight", "bias")}
    file = {"vit." + name: tensor for name, tensor in state.items()} | heads
    check("transformers' ViT", file, model.state_dict(), "transformers' ViT or DeiT", folder)
    base = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith("head")}
    extra = {"pooler.dense.weight": torch.zeros(24, 24), "pooler.dense.bias": torch.zeros(24)}
    check("transformers' ViT without a head", state | extra, base, "transformers' ViT or DeiT", folder, dropped=2)

    model = small("deit_tiny_distilled_patch16_224", num_classes=5)
    state = renamed(split_qkv(model.state_dict(), HF_SPLIT), HF_VIT_RULES)
    file = {"cls_classifier." + kind: state.pop("head." + kind) for kind in ("weight", "bias")}
    file |= {"distillation_classifier." + kind: state.pop("head_dist." + kind) for kind in ("weight", "bias")}
    file |= {"deit." + name: tensor for name, tensor in state.items()}
    check("transformers' DeiT", file, model.state_dict(), "transformers' ViT or DeiT", folder)
    one_head = {name.replace("cls_classifier", "classifier"): tensor for name, tensor in file.items()
                if not name.startswith("distillation_classifier")}
    expected = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith("head_dist")}
    check("transformers' DeiT with one head", one_head, expected, "transformers' ViT or DeiT", folder)


def hf_dinov2(folder):
    rules = HF_VIT_RULES + [
        (r"^blocks\.(\d+)\.ls(\d)\.gamma", r"encoder.layer.\1.layer_scale\2.lambda1"),
        (r"encoder\.layer\.(\d+)\.intermediate\.dense", r"encoder.layer.\1.mlp.fc1"),
        (r"encoder\.layer\.(\d+)\.output\.dense", r"encoder.layer.\1.mlp.fc2"),
        (r"layernorm_before", "norm1"), (r"layernorm_after", "norm2"),
    ]
    mask = {"embeddings.mask_token": torch.zeros(1, 24)}
    model = small("vit_small_patch14_dinov2")
    state = renamed(split_qkv(model.state_dict(), HF_SPLIT), rules) | mask
    check("transformers' DINOv2", state, model.state_dict(), "transformers' DINOv2", folder, dropped=1)
    # A classifier over class token and mean patch has no place in timm's model.
    wide = {"classifier.weight": torch.zeros(5, 48), "classifier.bias": torch.zeros(5)}
    file = {"dinov2." + name: tensor for name, tensor in state.items()} | wide
    check("transformers' DINOv2, classifier", file, model.state_dict(), "transformers' DINOv2", folder, dropped=3)

    gated = [(r"mlp\.fc1", "mlp.weights_in"), (r"mlp\.fc2", "mlp.weights_out")]
    model = small("vit_giant_patch14_dinov2")
    state = renamed(split_qkv(model.state_dict(), HF_SPLIT), rules + gated) | mask
    check("transformers' gated DINOv2", state, model.state_dict(), "transformers' DINOv2", folder, dropped=1)

    model = small("vit_small_patch14_reg4_dinov2")
    meta, expected = with_class_position(model)
    state = renamed(split_qkv(meta, HF_SPLIT), rules + [(r"^register_tokens", "embeddings.register_tokens")]) | mask
    check("transformers' DINOv2 with registers", state, expected, "transformers' DINOv2 with registers", folder, dropped=1)


def with_class_position(model):
    """Meta's state of a DINOv2 with registers, whose positions have one for the class token; and what it is in timm."""
    state = dict(model.state_dict())
    first = torch.randn(1, 1, 24)
    state["register_tokens"] = state.pop("reg_token")
    state["pos_embed"] = torch.cat([first, state["pos_embed"]], dim=1)
    expected = dict(model.state_dict())
    expected["cls_token"] = expected["cls_token"] + first
    return state, expected


def hf_dinov3(folder):
    split = ["layer.{n}.attention.%s_proj.{kind}" % one for one in "qkv"]
    for name, gated in (("vit_small_patch16_dinov3_qkvb", False), ("vit_huge_plus_patch16_dinov3_qkvb", True)):
        model = small(name)
        rules = [
            (r"^blocks\.(\d+)\.attn\.([qv])_bias", r"layer.\1.attention.\2_proj.bias"),
            (r"^blocks\.(\d+)\.attn\.proj", r"layer.\1.attention.o_proj"),
            (r"^blocks\.(\d+)\.gamma_(\d)", r"layer.\1.layer_scale\2.lambda1"),
            (r"^blocks\.(\d+)\.mlp\.fc1_g", r"layer.\1.mlp.gate_proj"),
            (r"^blocks\.(\d+)\.mlp\.fc1(_x)?", r"layer.\1.mlp.up_proj"),
            (r"^blocks\.(\d+)\.mlp\.fc2", r"layer.\1.mlp.down_proj"),
            (r"^blocks\.", "layer."),
            (r"^cls_token", "embeddings.cls_token"), (r"^reg_token", "embeddings.register_tokens"),
            (r"^patch_embed\.proj", "embeddings.patch_embeddings"),
        ]
        state = renamed(split_qkv(model.state_dict(), split), rules) | {"embeddings.mask_token": torch.zeros(1, 1, 24)}
        naming = "transformers' gated DINOv3" if gated else "transformers' DINOv3"
        check(naming, state, model.state_dict(), naming, folder, dropped=1)


HF_CLIP_RULES = [
    (r"^blocks\.(\d+)\.attn\.proj", r"encoder.layers.\1.self_attn.out_proj"),
    (r"^blocks\.(\d+)\.norm(\d)", r"encoder.layers.\1.layer_norm\2"),
    (r"^blocks\.", "encoder.layers."),
    (r"^cls_token", "embeddings.class_embedding"), (r"^pos_embed", "embeddings.position_embedding.weight"),
    (r"^patch_embed\.proj", "embeddings.patch_embedding"),
    (r"^norm_pre", "pre_layrnorm"), (r"^norm\.", "post_layernorm."),
]
HF_CLIP_SPLIT = ["encoder.layers.{n}.self_attn.%s_proj.{kind}" % one for one in "qkv"]


def hf_clip(folder):
    model = small("vit_base_patch16_clip_224", num_classes=10)
    torch.nn.init.zeros_(model.head.bias)
    state = renamed(split_qkv(model.state_dict(), HF_CLIP_SPLIT), HF_CLIP_RULES)
    projection = state.pop("head.weight")
    state.pop("head.bias")
    state["embeddings.class_embedding"] = state["embeddings.class_embedding"].flatten()
    state["embeddings.position_embedding.weight"] = state["embeddings.position_embedding.weight"][0]
    state["embeddings.position_ids"] = torch.arange(17)[None]
    file = {"vision_model." + name: tensor for name, tensor in state.items()}
    file |= {"visual_projection.weight": projection, "logit_scale": torch.tensor(1.0),
             "text_model.embeddings.token_embedding.weight": torch.zeros(4, 2)}
    check("transformers' CLIP", file, model.state_dict(), "transformers' CLIP", folder, dropped=3)


def hf_siglip(folder):
    model = small("vit_base_patch16_siglip_224")
    state = split_qkv(model.state_dict(), HF_CLIP_SPLIT)
    for kind in ("weight", "bias"):
        state["head.attention.in_proj_" + kind] = torch.cat(
            [state.pop("attn_pool.q." + kind), state.pop("attn_pool.kv." + kind)])
    state = renamed(state, HF_CLIP_RULES + [
        (r"^attn_pool\.latent", "head.probe"), (r"^attn_pool\.proj", "head.attention.out_proj"),
        (r"^attn_pool\.norm", "head.layernorm"), (r"^attn_pool\.mlp", "head.mlp")])
    state["embeddings.position_embedding.weight"] = state["embeddings.position_embedding.weight"][0]
    file = {"vision_model." + name: tensor for name, tensor in state.items()}
    check("transformers' SigLIP", file, model.state_dict(), "transformers' SigLIP", folder)
    # NaFlex files have a linear layer over patches, row by row, with the colours of a pixel together.
    patches = file["vision_model.embeddings.patch_embedding.weight"]
    file["vision_model.embeddings.patch_embedding.weight"] = patches.permute(0, 2, 3, 1).reshape(24, -1)
    check("transformers' SigLIP 2 NaFlex", file, model.state_dict(), "transformers' SigLIP", folder)
    head = {"classifier.weight": torch.randn(5, 24), "classifier.bias": torch.randn(5)}
    expected = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith("attn_pool")}
    expected |= {name.replace("classifier", "head"): tensor for name, tensor in head.items()}
    check("transformers' SigLIP classifier", file | head, expected, "transformers' SigLIP", folder, dropped=13)


def hf_beit(folder):
    model = small("beit_base_patch16_224", num_classes=5)
    state = split_qkv(model.state_dict(), HF_SPLIT)
    state = renamed(state, HF_VIT_RULES + [
        (r"^blocks\.(\d+)\.attn\.q_bias", r"encoder.layer.\1.attention.attention.query.bias"),
        (r"^blocks\.(\d+)\.attn\.v_bias", r"encoder.layer.\1.attention.attention.value.bias"),
        (r"^blocks\.(\d+)\.attn\.relative_position_bias_table",
         r"encoder.layer.\1.attention.attention.relative_position_bias.relative_position_bias_table"),
        (r"^blocks\.(\d+)\.gamma_(\d)", r"encoder.layer.\1.lambda_\2"), (r"^fc_norm", "pooler.layernorm")])
    file = {"classifier." + kind: state.pop("head." + kind) for kind in ("weight", "bias")}
    file |= {"beit." + name: tensor for name, tensor in state.items()}
    check("transformers' BEiT", file, model.state_dict(), "transformers' BEiT", folder)


def meta(folder):
    model = small("vit_small_patch14_dinov2")
    state = dict(model.state_dict()) | {"mask_token": torch.zeros(1, 24)}
    check_filter("DINOv2", vision_transformer.checkpoint_filter_fn(dict(state), model), model)
    check("Meta's DINOv2", state, model.state_dict(), "Meta's DINOv2", folder, dropped=1)
    chunked = renamed(state, [(r"^blocks\.(\d+)", r"blocks.0.\1")])
    check("Meta's DINOv2 in chunks of blocks", chunked, model.state_dict(), "timm", folder, dropped=1)

    model = small("vit_giant_patch14_reg4_dinov2")
    state, expected = with_class_position(model)
    state = renamed(state, [(r"mlp\.fc1", "mlp.w12"), (r"mlp\.fc2", "mlp.w3")]) | {"mask_token": torch.zeros(1, 24)}
    filtered = vision_transformer.checkpoint_filter_fn(dict(state), model)
    assert filtered.keys() == expected.keys() and all(torch.equal(filtered[name], expected[name]) for name in expected)
    check("Meta's DINOv2 with registers", state, expected, "Meta's DINOv2 with registers", folder, dropped=1)
    state["pos_embed"], state["cls_token"] = model.pos_embed.data, model.cls_token.data
    check("registers without a class position", state, model.state_dict(), "Meta's DINOv2 with registers", folder, dropped=1)

    for name in ("vit_small_patch16_dinov3_qkvb", "vit_huge_plus_patch16_dinov3_qkvb"):
        model = small(name)
        state = renamed(dict(model.state_dict()), [
            (r"gamma_(\d)", r"ls\1.gamma"), (r"^reg_token", "storage_tokens"), (r"fc1_g", "w1"), (r"fc1_x", "w2")])
        if "huge" in name:
            state = renamed(state, [(r"mlp\.fc2", "mlp.w3")])
        for block in range(2):
            q, v = (state.pop(f"blocks.{block}.attn.{one}_bias") for one in "qv")
            state[f"blocks.{block}.attn.qkv.bias"] = torch.cat([q, torch.full((24,), math.nan), v])
            state[f"blocks.{block}.attn.qkv.bias_mask"] = torch.ones(72)
        state |= {"mask_token": torch.zeros(1, 24), "rope_embed.periods": torch.zeros(3)}
        check_filter(name, eva.checkpoint_filter_fn(dict(state), model), model)
        check("Meta's DINOv3", state, model.state_dict(), "Meta's DINOv3", folder, dropped=4)

    model = small("deit3_small_patch16_224", num_classes=5)
    state = renamed(dict(model.state_dict()), [(r"ls(\d)\.gamma", r"gamma_\1")])
    check_filter("DeiT-III", vision_transformer.checkpoint_filter_fn(dict(state), model, adapt_layer_scale=True), model)
    check("Meta's DeiT-III", state, model.state_dict(), "Meta's DeiT-III or timm's RoPE-ViT", folder)

    model = small("vit_base_patch16_224", num_classes=0)
    decoder = {"decoder_pos_embed": torch.zeros(1, 17, 8), "decoder_embed.weight": torch.zeros(8, 24),
               "decoder_blocks.0.norm1.weight": torch.zeros(8), "decoder_norm.weight": torch.zeros(8),
               "decoder_pred.weight": torch.zeros(9, 8), "mask_token": torch.zeros(1, 1, 8)}
    check("Meta's MAE", dict(model.state_dict()) | decoder, model.state_dict(), "Meta's MAE", folder, dropped=6)


OPENAI_RULES = [
    (r"^blocks\.(\d+)\.attn\.qkv\.", r"blocks.\1.attn.in_proj_"), (r"attn\.proj", "attn.out_proj"),
    (r"mlp\.fc1", "mlp.c_fc"), (r"mlp\.fc2", "mlp.c_proj"), (r"\.norm(\d)", r".ln_\1"),
    (r"^blocks\.", "transformer.resblocks."), (r"^cls_token", "class_embedding"), (r"^pos_embed", "positional_embedding"),
    (r"^patch_embed\.proj", "conv1"), (r"^norm_pre", "ln_pre"), (r"^norm\.", "ln_post."), (r"^head\.weight", "proj"),
]


def openai(model, extra=()):
    state = renamed(dict(model.state_dict()), list(extra) + OPENAI_RULES)
    state.pop("head.bias")
    state["proj"] = state["proj"].t()
    if "class_embedding" in state:
        state["class_embedding"] = state["class_embedding"].flatten()
    state["positional_embedding"] = state["positional_embedding"][0]
    return {"visual." + name: tensor for name, tensor in state.items()}


def clip(folder):
    model = small("vit_base_patch16_clip_224", num_classes=10)
    torch.nn.init.zeros_(model.head.bias)
    text = {"positional_embedding": torch.zeros(7, 4), "text_projection": torch.zeros(4, 4), "logit_scale": torch.zeros(()),
            "transformer.resblocks.0.ln_1.weight": torch.zeros(4), "token_embedding.weight": torch.zeros(9, 4)}
    state = openai(model) | text
    check_filter("OpenAI CLIP", vision_transformer.checkpoint_filter_fn(dict(state), model), model)
    check("OpenAI CLIP", state, model.state_dict(), "OpenAI CLIP or OpenCLIP", folder, dropped=5)
    wrapped = {"module." + name: tensor for name, tensor in state.items()}
    check("OpenCLIP, DataParallel", wrapped, model.state_dict(), "OpenAI CLIP or OpenCLIP", folder, dropped=5)

    trunk = {"visual.trunk." + name: tensor for name, tensor in model.state_dict().items() if not name.startswith("head")}
    trunk["visual.head.proj.weight"] = model.head.weight.data
    check_filter("OpenCLIP trunk", vision_transformer.checkpoint_filter_fn(trunk | text, model), model)
    check("OpenCLIP around timm", trunk | text, model.state_dict(), "timm", folder, dropped=5)

    model = small("vit_pe_core_tiny_patch16_384", num_classes=10)
    torch.nn.init.zeros_(model.head.bias)
    pool = [(r"^attn_pool\.latent", "attn_pool.probe"), (r"^attn_pool\.norm", "attn_pool.layernorm"),
            (r"^attn_pool\.proj", "attn_pool.attn.out_proj")]
    state = openai(model, pool)
    for kind in ("weight", "bias"):
        state["visual.attn_pool.attn.in_proj_" + kind] = torch.cat(
            [state.pop("visual.attn_pool.q." + kind), state.pop("visual.attn_pool.kv." + kind)])
    state = renamed(state, [(r"attn_pool\.attn\.proj", "attn_pool.attn.out_proj")])
    check_filter("PE", eva.checkpoint_filter_fn(dict(state), model), model)
    check("Meta's Perception Encoder", state, model.state_dict(), "Meta's Perception Encoder", folder)


def eva_and_beit(folder):
    model = small("eva02_base_patch14_224", num_classes=5)
    state = renamed(dict(model.state_dict()), [
        (r"fc1_g", "w1"), (r"fc1_x", "w2"), (r"mlp\.fc2", "mlp.w3"), (r"mlp\.norm", "mlp.ffn_ln"),
        (r"attn\.([qv])_proj\.bias", r"attn.\1_bias")])
    rope = {"rope.freqs_cos": torch.zeros(16, 12), "rope.freqs_sin": torch.zeros(16, 12),
            "blocks.0.attn.rope.freqs_cos": torch.zeros(16, 12)}
    check_filter("EVA-02", eva.checkpoint_filter_fn(state | rope, model), model)
    check("EVA-02", state | rope, model.state_dict(), "EVA", folder, dropped=3)
    # Before fine-tuning: a mask token, a head over codes, and a norm over all tokens.
    state = {name.replace("fc_norm", "norm"): tensor for name, tensor in state.items() if not name.startswith("head.")}
    state |= {"mask_token": torch.zeros(1, 1, 24), "lm_head.weight": torch.zeros(9, 24), "lm_head.bias": torch.zeros(9)}
    headless = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith("head.")}
    check("EVA-02 before fine-tuning", state, headless, "EVA", folder, dropped=3)

    model = small("beit_base_patch16_224", num_classes=5)
    index = {f"blocks.{block}.attn.relative_position_index": torch.zeros(17, 17, dtype=torch.int64) for block in range(2)}
    check("BEiT", dict(model.state_dict()) | index, model.state_dict(), "BEiT", folder, dropped=2)


def flax(model, shared_numbers):
    """The model's arrays as Google's code names and lays them out. `shared_numbers`: the parts of a block are counted together."""
    heads, arrays = model.blocks[0].attn.num_heads, {}
    attention, norm2, mlp = (1, 2, 3) if shared_numbers else (0, 1, 0)

    def put(name, linear):
        arrays[name + "/kernel"], arrays[name + "/bias"] = linear.weight.T, linear.bias

    def put_norm(name, norm):
        arrays[name + "/scale"], arrays[name + "/bias"] = norm.weight, norm.bias

    def put_attention(name, weights, biases, out):
        for part, weight, bias in zip(("query", "key", "value"), weights, biases):
            arrays[f"{name}/{part}/kernel"] = weight.T.reshape(weight.shape[1], heads, -1)
            arrays[f"{name}/{part}/bias"] = bias.reshape(heads, -1)
        arrays[f"{name}/out/kernel"] = out.weight.T.reshape(heads, -1, out.weight.shape[0])
        arrays[f"{name}/out/bias"] = out.bias

    embedding = model.patch_embed.proj
    arrays["embedding/kernel"], arrays["embedding/bias"] = embedding.weight.permute(2, 3, 1, 0), embedding.bias
    arrays["Transformer/posembed_input/pos_embedding" if shared_numbers else "pos_embedding"] = model.pos_embed
    if model.cls_token is not None:
        arrays["cls"] = model.cls_token
    for index, block in enumerate(model.blocks):
        name = f"Transformer/encoderblock_{index}"
        put_norm(f"{name}/LayerNorm_0", block.norm1)
        put_norm(f"{name}/LayerNorm_{norm2}", block.norm2)
        put_attention(f"{name}/MultiHeadDotProductAttention_{attention}", block.attn.qkv.weight.chunk(3),
                      block.attn.qkv.bias.chunk(3), block.attn.proj)
        put(f"{name}/MlpBlock_{mlp}/Dense_0", block.mlp.fc1)
        put(f"{name}/MlpBlock_{mlp}/Dense_1", block.mlp.fc2)
    put_norm("Transformer/encoder_norm", model.norm)
    if model.attn_pool is not None:
        pool = model.attn_pool
        arrays["MAPHead_0/probe"] = pool.latent
        put_attention("MAPHead_0/MultiHeadDotProductAttention_0", [pool.q.weight, *pool.kv.weight.chunk(2)],
                      [pool.q.bias, *pool.kv.bias.chunk(2)], pool.proj)
        put_norm("MAPHead_0/LayerNorm_0", pool.norm)
        put("MAPHead_0/MlpBlock_0/Dense_0", pool.mlp.fc1)
        put("MAPHead_0/MlpBlock_0/Dense_1", pool.mlp.fc2)
    if isinstance(model.head, torch.nn.Linear):
        put("head", model.head)
    return {name: tensor.detach().numpy() for name, tensor in arrays.items()}


def google(folder):
    """Files of Google's own code; timm's loader first proves that each is the model."""
    text = {"params/txt/Embed_0/embedding": np.zeros((9, 24), np.float32), "params/t": np.zeros(1, np.float32)}
    for what, name, classes, prefix, beside in (
            ("Google's ViT", "vit_tiny_patch16_224", 5, "", {}),
            ("Google's ViT, a training state", "vit_tiny_patch16_224", 5, "opt/target/", {}),
            ("SigLIP of big_vision", "vit_base_patch16_siglip_224", 0, "params/img/", text)):
        model = small(name, num_classes=classes)
        arrays = flax(model, shared_numbers=not beside)
        path = os.path.join(folder, f"{len(CHECKS)}.npz")
        np.savez(path, **{prefix + array: values for array, values in arrays.items()}, **beside)
        other = small(name, num_classes=classes)
        other.load_pretrained(path)
        for array, values in model.state_dict().items():
            assert torch.equal(other.state_dict()[array], values), (what, array)
        check_file(what, path, model.state_dict(), "Google's ViT", dropped=len(beside))
    # A state dict under timm's names, one array of which lies in Fortran order.
    arrays = {array: values.numpy() for array, values in model.state_dict().items()}
    arrays["blocks.0.mlp.fc1.weight"] = np.asfortranarray(arrays["blocks.0.mlp.fc1.weight"])
    path = os.path.join(folder, f"{len(CHECKS)}.npz")
    np.savez(path, **arrays)
    check_file("a state dict of np.savez", path, model.state_dict(), "timm")


def torchvision_vit(folder):
    theirs = torchvision.models.VisionTransformer(28, 7, 2, 2, 24, 96, num_classes=5)
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter)

    def same_outputs(got):
        model = small("vit_base_patch16_224", num_classes=5)
        model.load_state_dict(got)
        picture = torch.randn(2, 3, 28, 28)
        with torch.no_grad():
            ours, reference = model(picture), theirs.eval()(picture)
        assert (ours - reference).abs().max() < 1e-4 * reference.abs().max(), "torchvision's forward differs"

    check("torchvision", theirs.state_dict(), same_outputs, "torchvision", folder)


def prefixes(folder):
    model = small("vit_tiny_patch16_224", num_classes=0)
    other = small("vit_tiny_patch16_224", num_classes=0)
    own = model.state_dict()

    def behind(prefix, state=own):
        return {prefix + name: tensor for name, tensor in state.items()}

    for prefix in ("module.", "model.", "module.model.", "backbone.", "encoder.", "visual.", "_orig_mod.", "a.b."):
        check("prefix " + prefix, behind(prefix), own, "timm", folder)
    both = behind("student.backbone.", other.state_dict()) | behind("teacher.backbone.")
    both["teacher.dino_head.mlp.0.weight"] = torch.zeros(2, 2)
    check("teacher before student", both, own, "timm", folder, dropped=len(own) + 1)
    plain = behind("") | behind("momentum_encoder.", other.state_dict())
    check("no prefix before a momentum encoder", plain, own, "timm", folder, dropped=len(own))
    moco = behind("module.base_encoder.") | behind("module.momentum_encoder.", other.state_dict())
    moco["module.base_encoder.head.0.weight"] = torch.zeros(2, 2)
    check("MoCo's base encoder", moco, own, "timm", folder, dropped=len(own) + 1)


with tempfile.TemporaryDirectory() as directory:
    for test in (hf_vit, hf_dinov2, hf_dinov3, hf_clip, hf_siglip, hf_beit, meta, clip, eva_and_beit, google, torchvision_vit,
                 prefixes):
        test(directory)
    compare_all()
