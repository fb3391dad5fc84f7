// The reader over bytes from anywhere: fuzz_container.cpp has the entry point of libFuzzer, fuzz_test.cpp runs it as a
// plain test.
#ifndef VITRINE_TESTS_FAULTS_FUZZ_H_
#define VITRINE_TESTS_FAULTS_FUZZ_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "common/codec/codec.h"
#include "common/codec/transform/basis.h"
#include "tests/faults/shards.h"

namespace vitrine::testing {

/// Reads a file to the end, and when it says that it is a track's shard decodes each group as its 4 views: the hash of
/// the floats, else of all datasets, or the sentence of the Error. `basis`: for transform tracks. Nothing else may be
/// thrown.
Outcome read_as_track(const std::filesystem::path& path, const std::shared_ptr<const FeatureBasis>& basis);

/// A track's codec and the arrays of its first group.
struct StoredGroup {
  std::shared_ptr<const Codec> codec;
  std::size_t values;  ///< of the group's 4 views
  std::vector<std::vector<std::byte>> arrays;
};
/// Of a shard that read_as_track() reads. Throws Error.
StoredGroup stored_group(const std::filesystem::path& path, const std::shared_ptr<const FeatureBasis>& basis);

/// tests/golden/basis.h5: that of the golden transform shard. Throws Error.
std::shared_ptr<const FeatureBasis> golden_basis();

}  // namespace vitrine::testing

/// Reads the bytes as they are, with the table's checksum made right, and with those of the chunks made right as well.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

#endif  // VITRINE_TESTS_FAULTS_FUZZ_H_
