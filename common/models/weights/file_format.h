// Detection of files that are given as weights but have another format.
#ifndef VITRINE_COMMON_MODELS_WEIGHTS_FILE_FORMAT_H_
#define VITRINE_COMMON_MODELS_WEIGHTS_FILE_FORMAT_H_

#include <cstddef>
#include <span>
#include <string>

namespace vitrine {

/// What a file is if it is not safetensors, and how to get a safetensors file from it.
struct ForeignFormat {
  std::string what;    ///< "is a Git LFS pointer, not the file itself"; empty: unknown
  std::string remedy;  ///< "run git lfs pull in its directory"
};

/// ForeignFormat::what of an ONNX model.
inline constexpr const char* kOnnxWords = "is an ONNX model";

/// Detects by the first bytes: an empty file, a Git LFS pointer, a web page or other text, pictures, programs,
/// PyTorch's zip and pickle files, TorchScript, other archives, HDF5 (Keras), ONNX, GGUF, TFLite, NumPy, the index of a
/// sharded model. Returns an empty result for a file that starts like safetensors (a length below 2^32, then a brace).
/// `bytes`: the whole file.
ForeignFormat foreign_format(std::span<const std::byte> bytes);

}  // namespace vitrine

#endif  // VITRINE_COMMON_MODELS_WEIGHTS_FILE_FORMAT_H_
