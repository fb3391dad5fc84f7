// Files that are given as weights and are something else.
#ifndef VITRINE_COMMON_MODELS_FILE_FORMAT_H_
#define VITRINE_COMMON_MODELS_FILE_FORMAT_H_

#include <cstddef>
#include <span>
#include <string>

namespace vitrine {

/// What a file that is no safetensors file is, and the way to one from it.
struct ForeignFormat {
  std::string what;    ///< "is a Git LFS pointer, not the file itself"; empty: nothing that is known here
  std::string remedy;  ///< "run git lfs pull in its directory"
};

/// Recognised by its first bytes: an empty file, a Git LFS pointer, a web page or another text, PyTorch's zip and
/// pickle files, TorchScript, other archives, HDF5 (Keras), ONNX, GGUF, TFLite, NumPy, the index of a model in several
/// files. What begins as safetensors files do (a length below 2^32, then a brace) is none of them. `bytes`: the whole
/// file.
ForeignFormat foreign_format(std::span<const std::byte> bytes);

}  // namespace vitrine

#endif  // VITRINE_COMMON_MODELS_FILE_FORMAT_H_
