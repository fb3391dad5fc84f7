// A small intact cache, and ways to damage it.
#ifndef VITRINE_TESTS_TOOLS_INSPECT_DAMAGED_H_
#define VITRINE_TESTS_TOOLS_INSPECT_DAMAGED_H_

#include <map>
#include <string>

#include "common/cache/cache.h"
#include "common/cache/container.h"
#include "common/cache/shard_directory.h"
#include "common/cache/track.h"
#include "tests/cache/sample.h"
#include "tests/support/testing.h"
#include "tools/inspect/verify.h"

namespace vitrine::testing {

/// Two passes of two shards (of two groups and of one) of the sample's four tracks, with recipes and shards.json.
struct SampleCache {
  TemporaryDirectory root;
  std::filesystem::path directory = root / "cache";
  Plan plan{sample_index(11), sample_options()};

  SampleCache() {
    write_sample(directory, plan, 2);
    refresh_manifest(directory / "recipes");
    for (const TrackInfo& track : sample_tracks(plan)) refresh_manifest(directory / track.directory());
  }

  std::filesystem::path path(const std::string& file) const { return directory / file; }
  VerifyReport verify(const VerifyOptions& options = {}) const { return verify_cache(directory, options); }

  /// Flips one bit of a file.
  void flip(const std::string& file, std::uint64_t offset) const {
    std::string bytes = read_whole(path(file));
    bytes.at(offset) = static_cast<char>(bytes[offset] ^ 4);
    write_whole(path(file), bytes);
  }
  /// In the middle of a chunk.
  void flip_chunk(const std::string& file, const std::string& dataset, std::uint64_t chunk) const {
    const Container container(path(file));
    const Container::Place place = container.place(container.find(dataset), chunk);
    flip(file, place.offset + place.bytes / 2);
  }
  /// The contents of every file in the cache, by relative path.
  std::map<std::string, std::string> files() const {
    std::map<std::string, std::string> out;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(directory))
      if (entry.is_regular_file())
        out[entry.path().lexically_relative(directory).generic_string()] = read_whole(entry.path());
    return out;
  }
};

inline const std::string kTiny = "tiny.aaaaaaaa/", kLogits = kTiny + "logits/", kFeatures = kTiny + "features.3/";

}  // namespace vitrine::testing

#endif  // VITRINE_TESTS_TOOLS_INSPECT_DAMAGED_H_
