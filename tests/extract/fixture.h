// A folder of pictures, a small random teacher and a configuration for the extractor's tests, created per test.
#ifndef VITRINE_TESTS_EXTRACT_FIXTURE_H_
#define VITRINE_TESTS_EXTRACT_FIXTURE_H_

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "common/base/philox.h"
#include "common/image/write.h"
#include "common/models/vit/vit.h"
#include "common/models/weights/load.h"
#include "common/models/weights/safetensors.h"
#include "tests/support/device.h"
#include "tests/support/testing.h"

namespace vitrine::testing {

inline std::string as_text(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// A PNG damaged in the middle, with a valid header and end.
inline std::string damaged_png() {
  Image image(40, 40);
  RandomStream draws(4, Purpose::kSample);
  for (auto& value : image.rgb) value = static_cast<std::uint8_t>(draws.bits());
  std::string png = as_text(encode_png(image));
  png[png.size() / 2] = static_cast<char>(png[png.size() / 2] ^ 1);
  return png;
}

/// The contents of files by their relative paths.
using Files = std::map<std::string, std::string>;

/// Three classes of five noisy JPEGs: 15 images make two groups of eight views, so that the pass's last group wraps.
struct ExtractFixture {
  TemporaryDirectory root;
  std::filesystem::path images = root / "images", weights = root / "teacher.safetensors",
                        config = root / "extract.toml";

  ExtractFixture() {
    RandomStream draws(1, Purpose::kSample);
    for (const char* name : {"ant", "bee", "cat"})
      for (int i = 0; i < 5; ++i) {
        Image image(34 + 3 * i, 47 - 2 * i);
        for (auto& value : image.rgb) value = static_cast<std::uint8_t>(draws.bits());
        write_whole(images / name / (std::to_string(i) + ".jpg"), as_text(encode_jpeg(image, 90)));
      }
    save_teacher(weights, 3);
    write_whole(config, text_of_config());
  }

  /// The teacher's sizes.
  static VitOptions vit(int classes = 3) {
    VitOptions options;
    options.arch = "";
    options.image_size = 32, options.patch = 8, options.dim = 16, options.depth = 2, options.heads = 2;
    options.classes = classes;
    return options;
  }
  static void save_teacher(const std::filesystem::path& path, int classes, std::uint64_t seed = 5) {
    at::manual_seed(seed);
    save_safetensors(path, state_dict(*Vit(vit(classes))));
  }

  std::string text_of_config() const {
    return "images = '" + images.string() +
           "'\npasses = 2\nworkers = 2\ncheck_images = 15\nallow_chance = true\n"
           "[teacher]\nname = 'small'\nweights = '" +
           weights.string() + "'\nmicro_batch = 4\ndevice = '" + test_device() +
           "'\n"
           "heads = 2\n"
           "[taps]\nfeatures = [0, -1]\nattention = [-1]\n"
           "[plan]\nseed = 7\ngroup = 8\nshard_groups = 1\nimage_size = 32\nmix_probability = 0.8\n";
  }

  /// The command line; `cache` is a name below the temporary directory.
  std::string command(const std::string& cache, const std::vector<std::string>& settings = {}) const {
    std::string line =
        executable("vitrine-extract") + " '" + config.string() + "' --set 'cache=" + (root / cache).string() + "'";
    for (const std::string& setting : settings) line += " --set '" + setting + "'";
    return line;
  }
  CommandResult extract(const std::string& cache, const std::vector<std::string>& settings = {}) const {
    return run(command(cache, settings));
  }
  CommandResult prepare(const std::string& cache, const std::vector<std::string>& settings = {}) const {
    return run(command(cache, settings) + " --prepare");
  }
  /// As extract(), with standard error only.
  CommandResult errors_of(const std::string& cache, const std::vector<std::string>& settings = {}) const {
    return run("( " + command(cache, settings) + " > '" + (root / "stdout.txt").string() + "' )");
  }

  /// Every file in a cache.
  Files files(const std::string& cache) const {
    Files out;
    if (!std::filesystem::exists(root / cache)) return out;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root / cache))
      if (entry.is_regular_file())
        out[entry.path().lexically_relative(root / cache).string()] = read_whole(entry.path());
    return out;
  }
  /// The paths of shards, of recipes and of tracks.
  std::vector<std::string> shards(const std::string& cache) const {
    std::vector<std::string> out;
    for (const auto& [name, bytes] : files(cache))
      if (name.ends_with(".h5") && name != "index.h5" && !name.ends_with("/basis.h5")) out.push_back(name);
    return out;
  }
};

}  // namespace vitrine::testing

#endif  // VITRINE_TESTS_EXTRACT_FIXTURE_H_
