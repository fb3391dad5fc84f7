"""Our ResNet against torchvision's: names, evaluation, and five steps of SGD with momentum and weight decay."""
import torch
import torchvision

from peer import compare, dump

torch.manual_seed(2)
torch.set_num_threads(1)


def check(arch, image):
    classes = 10
    model = getattr(torchvision.models, arch)(num_classes=classes)
    with torch.no_grad():  # running statistics and affine parameters that differ from their defaults
        for name, t in model.state_dict().items():
            if "running_mean" in name or ("bn" in name and name.endswith("bias")):
                t.normal_(0, 0.1)
            elif "running_var" in name:
                t.uniform_(0.5, 1.5)
    x, y = torch.randn(6, 3, image, image), torch.randint(0, classes, (6,))
    start = {k: v.clone() for k, v in model.state_dict().items()}
    ours = dump(["resnet", arch, classes], start, {"x": x, "y": y})

    model.eval()
    with torch.no_grad():
        stage = model.maxpool(model.relu(model.bn1(model.conv1(x))))
        for i in range(1, 5):
            stage = getattr(model, f"layer{i}")(stage)
            # Activations grow with depth: relative to the largest.
            compare(f"layer{i}", ours.pop(f"eval.layer{i}"), stage, 1e-4 * max(1.0, stage.abs().max().item()))
        logits = model(x)
        worst = compare("logits", ours.pop("eval.logits"), logits, 1e-4 * max(1.0, logits.abs().max().item()))
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9, weight_decay=1e-3)
    for step in range(5):
        optimizer.zero_grad()
        logits = model(x)
        torch.nn.functional.cross_entropy(logits, y).backward()
        optimizer.step()
        worst = max(worst, compare(f"step {step}", ours.pop(f"train.logits.{step}"), logits.detach()))
    state = model.state_dict()
    assert {f"state.{k}" for k in state} == set(ours), "names differ: " + str({f"state.{k}" for k in state} ^ set(ours))
    for name, tensor in state.items():
        worst = max(worst, compare(name, ours[f"state.{name}"], tensor))
    moved = (state["fc.weight"] - start["fc.weight"]).abs().max()
    assert moved > 1e-2, "nothing was learned: the comparison would prove nothing"
    print(f"{arch}: largest difference {worst:.2g}")


check("resnet18", 64)
check("resnet50", 64)
