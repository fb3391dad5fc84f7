// The safetensors format (https://github.com/huggingface/safetensors#format): an 8-byte little-endian length, that many
// bytes of JSON, {"name": {"dtype", "shape", "data_offsets": [begin, end]}, "__metadata__": {string: string}}, and the
// tensors' bytes, on which the offsets count.
#ifndef VITRINE_COMMON_MODELS_SAFETENSORS_H_
#define VITRINE_COMMON_MODELS_SAFETENSORS_H_

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <string>

namespace vitrine {

using Tensors = std::map<std::string, at::Tensor>;

/// All tensors of a file, copied into contiguous CPU memory in the dtypes of the file: F32, F16, BF16, I64, I32, U8.
/// The file may come from a stranger: every field of the header is checked, and a file that is cut short, whose tensors
/// overlap or leave gaps, whose sizes do not follow from dtype and shape, or that has another dtype throws Error with
/// the file's name.
Tensors load_safetensors(const std::filesystem::path& path);

/// The "__metadata__" of a file; empty when it has none. Checks as load_safetensors does.
std::map<std::string, std::string> load_safetensors_metadata(const std::filesystem::path& path);

/// Publishes the tensors, of any device, in the dtypes above; another dtype throws Error. Larger element types first,
/// then by name, without times: equal input gives equal bytes, and every tensor is aligned.
void save_safetensors(const std::filesystem::path& path, const Tensors& tensors,
                      const std::map<std::string, std::string>& metadata = {});

}  // namespace vitrine

#endif  // VITRINE_COMMON_MODELS_SAFETENSORS_H_
