// What verification with a teacher is asked, and what it finds: is what the cache holds what the teacher gives?
#ifndef VITRINE_TOOLS_COMMANDS_CACHE_DEEP_RESULT_H_
#define VITRINE_TOOLS_COMMANDS_CACHE_DEEP_RESULT_H_

#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/cache/cache.h"
#include "common/image/folders.h"
#include "tools/inspect/finding.h"

namespace vitrine {

struct DeepRequest {
  std::uint64_t views = 0;  ///< a sample of so many views of each track, rounded up to whole groups
  ImageFolders images;
  std::filesystem::path weights;
  std::string device;               ///< empty: the kind that the cache was made on
  std::vector<std::string> tracks;  ///< as in VerifyOptions
  std::vector<Finding> findings;    ///< what verification found: damaged shards and tracks are not asked about
};

enum class Verdict : std::uint8_t {
  kWithin,  ///< the track holds what the teacher gives
  kBeyond,  ///< it does not
  kNone,    ///< compared, but nothing can be said
  kNotRun   ///< not compared
};

/// What was found for one track. Figures are those of the group that is farthest from what it may be (deep_values.h
/// says what they are); zero where nothing was compared.
struct DeepResult {
  std::string track;  ///< its directory
  Verdict verdict = Verdict::kNotRun;
  std::string why;  ///< of every verdict but kWithin
  std::uint64_t groups = 0, views = 0;
  std::uint64_t identical = 0;  ///< groups that are bit for bit what the codecs make of the teacher's outputs now
  double error = 0, bound = 0;  ///< of stored values against the teacher's; bound 0: no verdict
  double difference = 0, tolerance = 0;  ///< against what the codecs make of the teacher's; tolerance 0: not judged
  nlohmann::ordered_json loss = nlohmann::ordered_json::object();  ///< mean and worst figures, as CodecLoss gives them
};

/// One result per track, ascending by directory. Throws Error when the weights are not the track's, the images are not
/// the cache's, or the provenance does not say how to run the teacher.
using DeepCheck = std::function<std::vector<DeepResult>(const Cache& cache, const DeepRequest& request)>;

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_CACHE_DEEP_RESULT_H_
