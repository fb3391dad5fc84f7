// The safetensors format (https://github.com/huggingface/safetensors#format): an 8-byte little-endian length, that many
// bytes of JSON, {"name": {"dtype", "shape", "data_offsets": [begin, end]}, "__metadata__": {string: string}}, and the
// tensors' bytes, to which the offsets are relative.
#ifndef VITRINE_COMMON_MODELS_WEIGHTS_SAFETENSORS_H_
#define VITRINE_COMMON_MODELS_WEIGHTS_SAFETENSORS_H_

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <string>

#include "common/models/weights/stored_tensor.h"

namespace vitrine {

using Tensors = std::map<std::string, at::Tensor>;

/// All tensors of a file, copied into contiguous CPU memory in the file's dtypes: F32, F16, BF16, I64, I32, U8. The
/// file is untrusted: every field of the header is checked. Throws Error naming the file if it is truncated, has
/// another dtype, tensors overlap or leave gaps, or their sizes do not match dtype and shape.
Tensors load_safetensors(const std::filesystem::path& path);

/// The tensors as views of the mapped file, also F64, I16, I8 and BOOL. A tensor of any other dtype is unusable, and
/// its bytes are not compared with its shape; otherwise the same checks as load_safetensors(). Adds to `metadata` what
/// it does not have yet. `path` is for messages.
StoredTensors map_safetensors(const SharedFile& file, const std::string& path,
                              std::map<std::string, std::string>& metadata);

/// The "__metadata__" of a file; empty if it has none. Same checks as load_safetensors().
std::map<std::string, std::string> load_safetensors_metadata(const std::filesystem::path& path);

/// Publishes the tensors, which may be on any device, in the dtypes above; throws Error for another dtype.
/// Deterministic: sorted by descending element size, then by name, without timestamps; every tensor is aligned.
void save_safetensors(const std::filesystem::path& path, const Tensors& tensors,
                      const std::map<std::string, std::string>& metadata = {});

}  // namespace vitrine

#endif  // VITRINE_COMMON_MODELS_WEIGHTS_SAFETENSORS_H_
