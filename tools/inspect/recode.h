// Converts a track to another encoding without its teacher.
#ifndef VITRINE_TOOLS_INSPECT_RECODE_H_
#define VITRINE_TOOLS_INSPECT_RECODE_H_

#include <cstdint>
#include <filesystem>
#include <string>

#include "common/cache/cache.h"
#include "common/codec/loss.h"

namespace vitrine {

struct RecodeOptions {
  /// The target cache directory, created if missing. A track's directory is named by teacher and target, not by
  /// encoding, so a cache has only one version of a track, and training need not choose.
  std::filesystem::path to;
  CodecSettings codec;
  /// transform: number of the track's first views used to calibrate the basis, unless `to` has one from an earlier
  /// call.
  std::uint32_t calibration_views = 1024;
  Compression compression;
  unsigned workers = 0;  ///< worker threads; 0: one per core
  bool dry_run = false;  ///< only checks, which may calibrate a basis; nothing is written
};

/// Text for users, with all digits: "uniform, max_error 0.015625", "topk, 32 kept, temperatures 1 4".
std::string codec_words(const CodecSettings& codec);

struct Recoded {
  TrackInfo track;
  std::uint64_t shards = 0, views = 0;  ///< made by this call, or by one that is no dry run; existing ones are skipped
  std::uint64_t bytes_before = 0, bytes_after = 0;  ///< of all shards of the two tracks; a dry run knows only the first
  CodecLoss loss;  ///< of this call's shards, relative to the source, whose own error is not included
};

/// Creates `to` with the index, plan and recipes of `cache` (the same bytes), what it records of its images, and
/// recodes every existing shard of `from`. Views that are left out get blank targets (left_out_views.h). The bytes
/// depend only on the source and the options, not on workers or interruptions; repeating the call resumes. Throws Error
/// when `to` is the cache itself or has another plan or another track of that name, when the codec cannot encode such
/// targets, and for damaged files.
Recoded recode(const Cache& cache, const TrackInfo& from, const RecodeOptions& options);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_INSPECT_RECODE_H_
