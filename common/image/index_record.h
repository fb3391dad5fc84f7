// How the images of an index were chosen and checked, stored in a small file beside the immutable index.h5.
#ifndef VITRINE_COMMON_IMAGE_INDEX_RECORD_H_
#define VITRINE_COMMON_IMAGE_INDEX_RECORD_H_

#include <filesystem>
#include <optional>
#include <string>

#include "common/image/scan.h"

namespace vitrine {

struct IndexRecord {
  IndexDepth depth = IndexDepth::kHeaders;
  PictureCounts counts;
  double hold_out = 0;  ///< share of the folder that is held out of the index (hold_out.h)
  bool copied =
      false;  ///< from the cache that this one was recoded or packed from: no extraction has prepared this one
  bool operator==(const IndexRecord&) const = default;
};

inline constexpr const char* kIndexRecordFile = "index_record.json";

/// The record of the index with that hash in a cache directory; nullopt if it is missing, damaged or belongs to another
/// index (which then counts as kHeaders). Throws Error, kNewer, for a record of a newer version, which must not be
/// overwritten.
std::optional<IndexRecord> read_index_record(const std::filesystem::path& directory, const std::string& index_hash);
/// Publishes the record unless an equal one exists. Throws Error.
void write_index_record(const std::filesystem::path& directory, const std::string& index_hash,
                        const IndexRecord& record);

/// The record as the text of a file for a copy of the cache, marked as copied; nullopt where read_index_record() finds
/// none. Throws Error as that does.
std::optional<std::string> copied_index_record(const std::filesystem::path& directory, const std::string& index_hash);

/// Whether an extraction wrote a record in this cache directory, of whatever index. Also for a damaged one; not for a
/// copied one.
bool has_own_index_record(const std::filesystem::path& directory);

/// "headers", "decode".
const char* name_of(IndexDepth depth);

}  // namespace vitrine

#endif  // VITRINE_COMMON_IMAGE_INDEX_RECORD_H_
