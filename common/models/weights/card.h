// What the files beside a model's weights say of it: timm's and transformers' config.json, preprocessor_config.json,
// open_clip_config.json and the front matter of a README.md.
#ifndef VITRINE_COMMON_MODELS_WEIGHTS_CARD_H_
#define VITRINE_COMMON_MODELS_WEIGHTS_CARD_H_

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace vitrine {

/// Empty fields were not said. Nothing is derived from names of architectures.
struct TeacherCard {
  std::optional<std::string> architecture;  ///< timm's name, may have a tag: "vit_base_patch16_224.augreg_in21k"

  /// The network, where a weight file's tensors leave it open or to be checked against them.
  std::optional<std::int64_t> patch, dim, depth, heads;
  std::optional<std::int64_t> classes;  ///< 0: no head
  std::optional<double> norm_eps;
  std::optional<std::string> activation;   ///< "gelu", "gelu_tanh", "quick_gelu", "silu", or the file's own word
  std::optional<std::string> pooling;      ///< "class", "mean", "attention", or the file's own word
  std::optional<bool> norm_after_pooling;  ///< of OpenCLIP's ViTs, whose weights do not tell

  /// Clean pictures. `image_size`: the side of the square that the model is given; position embeddings may have been
  /// made for another. Triplets are of colours in [0, 1].
  std::optional<std::int64_t> image_size;
  std::optional<std::array<double, 3>> mean, std;
  std::optional<double> crop_pct;            ///< image_size / size of the resized picture
  std::optional<std::string> crop_mode;      ///< timm's words: "center" keeps the aspect ratio, "squash" does not, ...
  std::optional<std::string> interpolation;  ///< "bicubic", "bilinear", "lanczos", "nearest", "box", "hamming"

  std::optional<std::string> license;
  std::vector<std::string> class_names;  ///< in the order of the head's outputs; as many as `classes` if both are there
  std::vector<std::string> class_descriptions;  ///< beside class_names; "" where one has none

  std::vector<std::filesystem::path> files;  ///< those that were read
  std::vector<std::string> notes;            ///< full sentences that begin with a path
};

/// Reads what `path`, a directory or a file in one, has beside it. A field counts from the first file that has it:
/// config.json, preprocessor_config.json, open_clip_config.json, README.md; but the size of pictures from
/// preprocessor_config.json counts before that of transformers' config.json, which is that of the positions. An empty
/// card if there is none. Files of other kinds of models are read as far as they have these fields. The files are
/// untrusted. Throws Error that names the file: kCorrupt for what is not JSON, kInput for a field that has another type
/// than it must, or an impossible value.
TeacherCard read_card(const std::filesystem::path& path);

}  // namespace vitrine

#endif  // VITRINE_COMMON_MODELS_WEIGHTS_CARD_H_
