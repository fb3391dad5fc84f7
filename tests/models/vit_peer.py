"""Our ViT against timm's: logits, every feature tap and every attention tap, at odd sizes and random weights."""
import torch
import torch.nn.functional as F
from timm.models.vision_transformer import VisionTransformer

from peer import compare, dump

torch.manual_seed(1)
torch.set_num_threads(1)


def check(image, patch, dim, depth, heads, classes):
    model = VisionTransformer(img_size=image, patch_size=patch, embed_dim=dim, depth=depth, num_heads=heads,
                              num_classes=classes).eval()
    with torch.no_grad():
        for name, p in model.named_parameters():  # far from the flat attention of a fresh model
            p.normal_(0, 0.12).add_(1.0 if "norm" in name and name.endswith("weight") else 0.0)
    seen = {}
    for i, block in enumerate(model.blocks):
        block.register_forward_hook(lambda _m, _i, out, i=i: seen.__setitem__(("block", i), out))
        block.attn.qkv.register_forward_hook(lambda _m, _i, out, i=i: seen.__setitem__(("qkv", i), out))
    x = torch.randn(3, 3, image, image)
    with torch.no_grad():
        logits = model(x)
    ours = dump(["vit", image, patch, dim, depth, heads, classes], model.state_dict(), {"x": x})
    grid = image // patch
    worst = compare("logits", ours.pop("logits"), logits)
    sharpest = 0.0
    for i in range(depth):
        tokens = seen["block", i][:, 1:]
        as_map = lambda t: t.transpose(1, 2).reshape(3, dim, grid, grid)
        normalised = as_map(F.layer_norm(tokens, (dim,), eps=1e-6))
        worst = max(worst, compare(f"features.{i}", ours.pop(f"features.{i}"), normalised))
        if i == 0:
            compare("raw.0", ours.pop("raw.0"), as_map(tokens))
        q, k, _ = seen["qkv", i].reshape(3, -1, 3, heads, dim // heads).permute(2, 0, 3, 1, 4)
        attention = (q @ k.transpose(-2, -1) * (dim // heads) ** -0.5).softmax(-1)
        attention = attention[:, :, 0, 1:].reshape(3, heads, grid, grid)
        sharpest = max(sharpest, attention.max().item() * grid * grid)
        worst = max(worst, compare(f"attention.{i}", ours.pop(f"attention.{i}"), attention))
    assert not ours, f"nothing compared {sorted(ours)}"
    assert sharpest > 1.5, "attention is flat: the comparison would prove nothing"
    print(f"ViT {image}/{patch}, {dim}x{depth}x{heads}: largest difference {worst:.2g}")


check(40, 8, 48, 3, 4, 11)
check(70, 14, 60, 2, 3, 7)
check(48, 16, 64, 4, 2, 1000)
