// Reads the weights that people have: any of the usual files, under anybody's names.
#ifndef VITRINE_COMMON_MODELS_WEIGHTS_WEIGHTS_H_
#define VITRINE_COMMON_MODELS_WEIGHTS_WEIGHTS_H_

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "common/models/weights/safetensors.h"

namespace vitrine {

struct WeightFiles {
  /// In their own memory, contiguous, on the CPU. A ViT has timm's names (names.h).
  Tensors tensors;
  std::string naming;                           ///< whose names the files have; empty: no known ViT, nothing renamed
  std::map<std::string, std::string> metadata;  ///< of safetensors files
  /// Of the file. Of several: of the text that has each file's SHA-256, 64 digits and a line feed, in the order of
  /// `files`, so that it is `sha256sum FILES | cut -c1-64 | sha256sum`.
  std::string sha256;
  std::vector<std::filesystem::path> files;  ///< sorted by name; the index of a sharded model is not one of them
  std::vector<std::string> notes;            ///< what the user should know, full sentences that begin with the path
};

/// The file or files that `path` names: a .safetensors file; a file of torch.save (.pth, .pt, .bin); a NumPy archive
/// (.npz); an index (*.index.json) with its shards beside it; or a directory, in which the first that exists counts of
/// model.safetensors, model.safetensors.index.json, open_clip_model.safetensors, a single other *.safetensors,
/// pytorch_model.bin, pytorch_model.bin.index.json, open_clip_pytorch_model.bin, a single other *.pth, *.pt or *.bin, a
/// single *.npz; else, of a run of vitrine-train and of its exported folder, the best weights or the last
/// (run_weights.h). Files of a training run (optimizer.pt, training_args.bin, ...) do not count. Throws Error, kInput:
/// nothing is there, several candidates of equal rank (all named), a shard that is missing or outside the directory.
std::vector<std::filesystem::path> find_weight_files(const std::filesystem::path& path);

/// `path` itself, or the file that counts in a directory: of find_weight_files(), or their index. Throws Error
/// likewise.
std::filesystem::path main_weight_file(const std::filesystem::path& path);

/// Reads everything. Throws Error that names the file: what find_weight_files(), map_safetensors(), read_torch_file(),
/// read_numpy_archive() and with_timm_names() throw; kCorrupt if an index and its shards disagree or two shards have a
/// tensor of one name.
WeightFiles read_weights(const std::filesystem::path& path);

/// Only WeightFiles::sha256, without reading tensors.
std::string sha256_of_weights(const std::filesystem::path& path);

}  // namespace vitrine

#endif  // VITRINE_COMMON_MODELS_WEIGHTS_WEIGHTS_H_
