// Reads NumPy archives (.npz) of weights: Google's original ViT and AugReg files, or a state dict saved with np.savez.
#ifndef VITRINE_COMMON_MODELS_WEIGHTS_NUMPY_ARCHIVE_H_
#define VITRINE_COMMON_MODELS_WEIGHTS_NUMPY_ARCHIVE_H_

#include <cstddef>
#include <span>
#include <string>

#include "common/models/weights/stored_tensor.h"

namespace vitrine {

/// True for a zip archive whose first entry is an array (.npy), cut short or not.
bool is_numpy_archive(std::span<const std::byte> bytes);

/// The arrays of an archive without compression (np.savez), by their names with '.' for '/'. Flax's layers become
/// PyTorch's: a "kernel" the "weight" with its axes in PyTorch's order (a convolution's [height, width, in, out], a
/// linear layer's [in, out], one over heads [in, heads, width] or, below "out", [heads, width, out]), a "scale" the
/// "weight"; a bias of heads is flattened. Throws Error, naming `path`: kCorrupt for a damaged archive or array, kInput
/// for a compressed one (np.savez_compressed).
StoredTensors read_numpy_archive(const SharedFile& file, const std::string& path);

}  // namespace vitrine

#endif  // VITRINE_COMMON_MODELS_WEIGHTS_NUMPY_ARCHIVE_H_
