#include "common/models/weights/torch_globals.h"

#include <algorithm>
#include <array>

#include "common/models/weights/torch_container.h"

namespace vitrine {
namespace {

struct KnownGlobal {
  std::string_view name;  // with a dot at its end: all that begins so
  TorchGlobal kind;
};

constexpr std::array kFunctions{
    KnownGlobal{"collections.OrderedDict", TorchGlobal::kContainer},
    KnownGlobal{"collections.defaultdict", TorchGlobal::kContainer},
    KnownGlobal{"torch._utils._rebuild_tensor", TorchGlobal::kTensor},
    KnownGlobal{"torch._utils._rebuild_tensor_v2", TorchGlobal::kTensor},
    KnownGlobal{"torch._utils._rebuild_tensor_v3", TorchGlobal::kTypedTensor},
    KnownGlobal{"torch._utils._rebuild_parameter", TorchGlobal::kParameter},
    KnownGlobal{"torch._utils._rebuild_parameter_with_state", TorchGlobal::kParameter},
    KnownGlobal{"torch._tensor._rebuild_from_type_v2", TorchGlobal::kSubclass},
    KnownGlobal{"torch._utils._rebuild_sparse_tensor", TorchGlobal::kOtherTensor},
    KnownGlobal{"torch._utils._rebuild_sparse_csr_tensor", TorchGlobal::kOtherTensor},
    KnownGlobal{"torch._utils._rebuild_qtensor", TorchGlobal::kOtherTensor},
    KnownGlobal{"torch._utils._rebuild_nested_tensor", TorchGlobal::kOtherTensor},
    KnownGlobal{"torch._utils._rebuild_meta_tensor_no_storage", TorchGlobal::kOtherTensor},
    KnownGlobal{"torch._utils._rebuild_device_tensor_from_numpy", TorchGlobal::kOtherTensor},
    KnownGlobal{"torch._utils._rebuild_device_tensor_from_cpu_tensor", TorchGlobal::kOtherTensor},
    KnownGlobal{"__torch__.", TorchGlobal::kModule}};

/// Classes that training programs store with the weights.
constexpr auto kInert = std::to_array<std::string_view>({"argparse.Namespace",
                                                         "types.SimpleNamespace",
                                                         "collections.Counter",
                                                         "datetime.",
                                                         "pathlib.",
                                                         "decimal.Decimal",
                                                         "uuid.UUID",
                                                         "enum.",
                                                         "typing.",
                                                         "functools.partial",
                                                         "_codecs.encode",
                                                         "copy_reg._reconstructor",
                                                         "copyreg._reconstructor",
                                                         "numpy.",
                                                         "torch.Size",
                                                         "torch.device",
                                                         "torch.Tensor",
                                                         "torch.torch_version.TorchVersion",
                                                         "torch.nn.parameter.Parameter",
                                                         "torch.serialization._get_layout",
                                                         "torch.jit._pickle.",
                                                         "torch.optim.",
                                                         "omegaconf.",
                                                         "yacs.config.CfgNode",
                                                         "ml_collections.",
                                                         "addict.",
                                                         "easydict.EasyDict",
                                                         "mmengine.",
                                                         "mmcv.",
                                                         "pytorch_lightning.",
                                                         "lightning.",
                                                         "lightning_fabric.",
                                                         "torchmetrics.",
                                                         "deepspeed.",
                                                         "transformers.",
                                                         "accelerate."});

/// Types of plain values, under Python 3's names and those of Python 2 that protocol 2 writes.
constexpr auto kBuiltins = std::to_array<std::string_view>({"object", "set", "frozenset", "complex", "slice", "range",
                                                            "xrange", "bytearray", "bytes", "list", "dict", "tuple",
                                                            "int", "long", "float", "bool", "str", "unicode"});

bool is_builtin(std::string_view name) {
  for (const std::string_view module : {"builtins.", "__builtin__."})
    if (name.starts_with(module)) return std::ranges::find(kBuiltins, name.substr(module.size())) != kBuiltins.end();
  return false;
}

bool is_named(std::string_view known, std::string_view name) {
  return known.ends_with('.') ? name.starts_with(known) : name == known;
}

/// "torch.float32", whatever the width.
bool is_dtype(std::string_view name) {
  static constexpr auto kStems =
      std::to_array<std::string_view>({"torch.float", "torch.bfloat", "torch.int", "torch.uint", "torch.bool",
                                       "torch.complex", "torch.qint", "torch.quint", "torch.bits"});
  return std::ranges::any_of(kStems, [&](std::string_view stem) {
    return name.starts_with(stem) &&
           (name.size() == stem.size() || (name[stem.size()] >= '0' && name[stem.size()] <= '9'));
  });
}

}  // namespace

TorchGlobal torch_global(std::string_view name) {
  for (const KnownGlobal& known : kFunctions)
    if (is_named(known.name, name)) return known.kind;
  const bool inert = torch_element_size(name) != 0 || is_dtype(name) || is_builtin(name) ||
                     std::ranges::any_of(kInert, [&](std::string_view known) { return is_named(known, name); });
  return inert ? TorchGlobal::kInert : TorchGlobal::kUnknown;
}

}  // namespace vitrine
