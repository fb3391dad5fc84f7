// Request and result of verification with the teacher: do the cached values match the teacher's outputs?
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
  std::uint64_t views = 0;  ///< sample size per track, rounded up to whole groups
  ImageFolders images;
  std::string weights, zero_shot;  ///< as TeacherFiles
  bool allow_module = false;
  std::string device;               ///< empty: the kind of device that made the cache
  std::vector<std::string> tracks;  ///< as in VerifyOptions
  std::vector<Finding> findings;    ///< of verification: damaged shards and tracks are skipped
};

enum class Verdict : std::uint8_t {
  kWithin,  ///< the track matches the teacher
  kBeyond,  ///< the track does not match the teacher
  kNone,    ///< compared, but without a bound
  kNotRun   ///< not compared
};

/// Result for one track. Figures are those of the worst group relative to its bounds (see deep_values.h); zero if
/// nothing was compared.
struct DeepResult {
  std::string track;  ///< its directory
  Verdict verdict = Verdict::kNotRun;
  std::string why;  ///< empty for kWithin
  std::uint64_t groups = 0, views = 0;
  std::uint64_t identical = 0;  ///< groups bit-identical to the teacher's current outputs after the codecs
  double error = 0, bound = 0;  ///< stored values against the teacher's; bound 0: no verdict
  double difference = 0,
         tolerance = 0;  ///< against the teacher after the codecs; tolerance 0: not checked
  nlohmann::ordered_json loss = nlohmann::ordered_json::object();  ///< means and worst values, as in CodecLoss
};

/// One result per track, ascending by directory. Throws Error when the weights are not the track's, the images are not
/// the cache's, or the provenance does not suffice to run the teacher.
using DeepCheck = std::function<std::vector<DeepResult>(const Cache& cache, const DeepRequest& request)>;

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_CACHE_DEEP_RESULT_H_
