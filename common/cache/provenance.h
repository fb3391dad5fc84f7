// Provenance of a track's values: the teacher, the hardware and precision, and earlier encodings. Stored in track.json
// (FORMAT.md) and compared field by field.
#ifndef VITRINE_COMMON_CACHE_PROVENANCE_H_
#define VITRINE_COMMON_CACHE_PROVENANCE_H_

#include <compare>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "common/base/device_record.h"
#include "common/base/json_difference.h"
#include "common/codec/codec.h"
#include "common/codec/frame.h"

namespace vitrine {

/// What rebuilds the teacher's network from its weights. Readers of a cache compare it and do not interpret it; the
/// teacher's room does.
struct ArchitectureRecord {
  /// "vit" (VitStructure), "module" (an exported module), or that of another program: "pytorch" of
  /// vitrine_cache.Writer.
  std::string family = "vit";
  std::string settings = "{}";  ///< the family's keys: a JSON object with sorted keys, without spaces

  bool operator==(const ArchitectureRecord&) const = default;
};

/// The size that a ViT's weights were trained with.
struct WeightsSize {
  std::uint32_t image_size = 0;  ///< side in pixels; 0: they have no positions
  std::uint32_t patch = 0;       ///< side of a patch in pixels

  bool operator==(const WeightsSize&) const = default;
};

struct TeacherRecord {
  std::string name;            ///< letters, digits, '_', '-' and '.'
  std::string weights_sha256;  ///< 64 hexadecimal digits; with zero-shot classes of both files
  bool zero_shot = false;      ///< logits come from class text embeddings; a file beside the weights has them
  ArchitectureRecord architecture;
  /// Where the architecture has another size, for which positions or patch weights were resampled; also none in tracks
  /// that an earlier version began.
  std::optional<WeightsSize> resampled_from;
  std::vector<double> mean, stddev;  ///< per colour channel, in [0, 1]; "std" in JSON
  double crop_pct = 1;               ///< of the clean crop, as in timm; in (0, 1]
  std::string interpolation;         ///< of resizing views: "bicubic" (antialiased)
  std::string class_list_sha256;     ///< of the index's class names, each followed by a line feed
  std::string license;               ///< of the weights; empty: unknown

  bool operator==(const TeacherRecord&) const = default;
};

/// What determines the rounding of a teacher's outputs, besides its TeacherRecord.
struct ComputeRecord {
  DeviceRecord device;
  std::string precision;          ///< "fp32", "tf32", "bf16" or "fp16"
  std::uint32_t micro_batch = 0;  ///< views per forward pass, at least 1

  auto operator<=>(const ComputeRecord&) const = default;
  bool operator==(const ComputeRecord&) const = default;
};

/// The encoding of a track that another track was recoded from.
struct EncodingRecord {
  CodecSettings codec;
  Compression compression;
  std::string track_sha256;  ///< of the source's track.json
  /// The record's JSON if its encoding is of a newer version, and `codec` is then unset. Else empty.
  std::string unknown;

  bool operator==(const EncodingRecord&) const = default;
};

nlohmann::ordered_json to_json(const TeacherRecord& teacher);
nlohmann::ordered_json to_json(const ComputeRecord& compute);
nlohmann::ordered_json to_json(const EncodingRecord& encoding);
/// Writes "encoding", "codec" (absent if the encoding has no settings), "level", "window" (absent if 0).
void put_encoding(const CodecSettings& codec, const Compression& compression, nlohmann::ordered_json& out);

/// Unknown keys are ignored, except those of an encoding, which may change the meaning of the others. Throw Error,
/// beginning with `where` and naming the key: kCorrupt for a missing key or wrong type, kNewer for an encoding that
/// this version does not support.
TeacherRecord teacher_from_json(const nlohmann::ordered_json& in, const std::string& where);
ComputeRecord compute_from_json(const nlohmann::ordered_json& in, const std::string& where);
EncodingRecord encoding_from_json(const nlohmann::ordered_json& in, const std::string& where);
void take_encoding(const nlohmann::ordered_json& in, const std::string& where, CodecSettings& codec,
                   Compression& compression);

/// Throws Error, beginning with `where`, when a field is out of range.
void check_teacher(const TeacherRecord& teacher, const std::string& where);
void check_compute(const ComputeRecord& compute, const std::string& where);

/// The fields that differ, by their names in JSON ("device.name"), with both values.
std::vector<JsonDifference> differences(const TeacherRecord& recorded, const TeacherRecord& given);
std::vector<JsonDifference> differences(const ComputeRecord& recorded, const ComputeRecord& given);

/// Whether `word` is a SHA-256, 64 hexadecimal digits.
bool is_sha256(const std::string& word);

}  // namespace vitrine

#endif  // VITRINE_COMMON_CACHE_PROVENANCE_H_
