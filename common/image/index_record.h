// What is known of an index beside the index: how far its pictures were looked at. A small file beside index.h5, which
// itself never changes.
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
  bool operator==(const IndexRecord&) const = default;
};

inline constexpr const char* kIndexRecordFile = "index_record.json";

/// Of the index of that hash in a cache's directory; nothing where there is no record, a damaged one or one of another
/// index: the index then counts as made by headers. Throws Error of kind kNewer for a record of a newer version, which
/// would otherwise be replaced by less than it says.
std::optional<IndexRecord> read_index_record(const std::filesystem::path& directory, const std::string& index_hash);
/// Publishes the record unless the same is there. Throws Error.
void write_index_record(const std::filesystem::path& directory, const std::string& index_hash,
                        const IndexRecord& record);

/// "headers", "decode".
const char* name_of(IndexDepth depth);

}  // namespace vitrine

#endif  // VITRINE_COMMON_IMAGE_INDEX_RECORD_H_
