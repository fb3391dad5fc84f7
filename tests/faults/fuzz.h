// Runs the readers on arbitrary bytes, for the tests of this folder and the targets of tests/fuzz.
#ifndef VITRINE_TESTS_FAULTS_FUZZ_H_
#define VITRINE_TESTS_FAULTS_FUZZ_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "common/cache/cache.h"
#include "common/codec/codec.h"
#include "common/codec/transform/basis.h"
#include "tests/faults/shards.h"

namespace vitrine::testing {

/// Views of a group in the golden files.
inline constexpr std::uint32_t kViews = 4;

/// The golden files as one cache, in which the file being read takes the place of its kind. `golden`: the folder of
/// golden files, which has index.h5, plan.json and basis.h5.
class Surroundings {
 public:
  explicit Surroundings(const std::filesystem::path& golden);

  const std::shared_ptr<const FeatureBasis>& basis() const { return basis_; }

  /// Reads a file to the end and through the reader of its kind: an index, a basis, recipes, a shard (each group
  /// decoded as its 4 views), a plan.json, track.json or shards.json. The hash is of a shard's floats, of all datasets
  /// of another container, of the text of JSON. Only Error may be thrown inside; it is part of the outcome.
  Outcome read(const std::filesystem::path& path) const;

 private:
  Outcome read_container(const std::filesystem::path& path) const;
  void read_recipes(const std::filesystem::path& path) const;

  TemporaryDirectory cache_;
  std::shared_ptr<const FeatureBasis> basis_;
};

/// The floats of all groups of a track, from its complete passes. Throws Error.
Outcome read_track(const Cache& cache, const TrackInfo& track);

/// A track's codec and the arrays of its first group.
struct StoredGroup {
  std::shared_ptr<const Codec> codec;
  std::size_t values;  ///< of the group's 4 views
  std::vector<std::vector<std::byte>> arrays;
};
/// Reads them from a valid shard. `basis`: for a transform track. Throws Error.
StoredGroup stored_group(const std::filesystem::path& path, const std::shared_ptr<const FeatureBasis>& basis);

/// Reads the bytes unchanged; a track.json also with its check recomputed; a container also with the table's checksum
/// recomputed, and with the chunks' too. Only Error may be thrown inside; it is caught.
void read_forged(const Surroundings& surroundings, MemoryFile& file, std::string bytes);

}  // namespace vitrine::testing

#endif  // VITRINE_TESTS_FAULTS_FUZZ_H_
