// Verification that asks the teacher again: is what the cache holds what the teacher gives?
#ifndef VITRINE_TOOLS_COMMANDS_CACHE_DEEP_H_
#define VITRINE_TOOLS_COMMANDS_CACHE_DEEP_H_

#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/cache/cache.h"
#include "common/image/folders.h"

namespace vitrine {

struct DeepRequest {
  std::uint64_t views = 0;  ///< a sample of so many views, rounded up to whole groups
  ImageFolders images;
  std::filesystem::path weights;
  std::string device;               ///< empty: the kind that the cache was made on
  std::vector<std::string> tracks;  ///< as in VerifyOptions
};

/// What was found for one track.
struct DeepResult {
  std::string track;  ///< its directory
  std::uint64_t groups = 0, views = 0;
  std::uint64_t identical = 0;  ///< groups that are bit for bit what the codec makes of the teacher's outputs now
  double worst_error = 0;  ///< the largest share Σ|x' − x|² / Σ|x − x̄|² of a group; x: the teacher's values now
  double bound = 0;        ///< that worst_error may have
  nlohmann::ordered_json loss;  ///< mean and worst figures, as CodecLoss gives them
  bool beyond() const { return worst_error > bound; }
};

/// Throws Error when the weights are not the track's, the images are not the cache's, or the provenance does not say
/// how to run the teacher.
using DeepCheck = std::function<std::vector<DeepResult>(const Cache& cache, const DeepRequest& request)>;

/// The DeepCheck of this program. Views are taken from groups that all tracks of a teacher have, spread evenly. A group
/// may be off by twice what the codec itself loses on the values of now, and by 1e-6 (bf16: 1e-3) in any case, since
/// arithmetic differs between machines.
std::vector<DeepResult> deep_check(const Cache& cache, const DeepRequest& request);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_CACHE_DEEP_H_
