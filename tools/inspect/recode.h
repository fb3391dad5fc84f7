// A track in another encoding, without its teacher.
#ifndef VITRINE_TOOLS_INSPECT_RECODE_H_
#define VITRINE_TOOLS_INSPECT_RECODE_H_

#include <cstdint>
#include <filesystem>
#include <string>

#include "common/cache/cache.h"
#include "common/codec/loss.h"

namespace vitrine {

struct RecodeOptions {
  /// The other cache directory, made when it is missing. A track's directory is named by its teacher and what it holds,
  /// not by its encoding, so that one cache never has two versions of it and whoever trains need not choose.
  std::filesystem::path to;
  CodecSettings codec;
  /// transform: the first views of the track that its basis is made from, unless `to` has one from an earlier call.
  std::uint32_t calibration_views = 1024;
  Compression compression;
  unsigned workers = 0;  ///< groups in work at once; 0: one per core
};

/// "uniform, max_error 0.015625", "topk, 32 kept, temperatures 1 4": for people, with as many digits as the numbers
/// have.
std::string codec_words(const CodecSettings& codec);

struct Recoded {
  TrackInfo track;
  std::uint64_t shards = 0, views = 0;              ///< made now; shards that are there are left alone
  std::uint64_t bytes_before = 0, bytes_after = 0;  ///< of all shards of the two tracks
  CodecLoss loss;  ///< of what was made now, against the source: its own error comes on top
};

/// Makes `to` with the index, the plan and the recipes of `cache` (the same bytes) and the recoded track of every shard
/// of `from` that is there. The bytes are a function of the source and the options, not of workers or interruptions:
/// the same call goes on. Throws Error when `to` is the cache itself or holds another plan or another track of that
/// name, when the codec cannot hold such targets, and for damage.
Recoded recode(const Cache& cache, const TrackInfo& from, const RecodeOptions& options);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_INSPECT_RECODE_H_
