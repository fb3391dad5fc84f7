// Where a track's values come from: the teacher, what computed them, and how they were stored before. Typed here and in
// track.json (FORMAT.md), compared field by field.
#ifndef VITRINE_COMMON_CACHE_PROVENANCE_H_
#define VITRINE_COMMON_CACHE_PROVENANCE_H_

#include <compare>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "common/base/device_record.h"
#include "common/base/json_difference.h"
#include "common/codec/codec.h"
#include "common/codec/frame.h"

namespace vitrine {

struct ArchitectureRecord {
  std::string family = "vit";
  std::uint32_t image_size = 0, patch = 0, width = 0, depth = 0, heads = 0, mlp_ratio = 0, classes = 0;
  /// Keys of a newer version. The track can be read, but its teacher cannot be run again.
  std::vector<std::string> unknown;

  bool operator==(const ArchitectureRecord&) const = default;
};

struct TeacherRecord {
  std::string name;            ///< letters, digits, '_', '-' and '.'
  std::string weights_sha256;  ///< 64 hexadecimal digits
  ArchitectureRecord architecture;
  std::vector<double> mean, stddev;  ///< of the three colours, in [0, 1]; "std" in JSON
  double crop_pct = 1;               ///< of the clean crop's resized picture, as timm has it; in (0, 1]
  std::string interpolation;         ///< how views are resized: "bicubic" (antialiased)
  std::string class_list_sha256;     ///< of the index's class names, each with a line feed
  std::string license;               ///< of the weights; empty: not known

  bool operator==(const TeacherRecord&) const = default;
};

/// What decides the last digits of a teacher's outputs, beside its record.
struct ComputeRecord {
  DeviceRecord device;
  std::string precision;          ///< "fp32", "tf32", "bf16" or "fp16"
  std::uint32_t micro_batch = 0;  ///< views in one forward, at least 1

  auto operator<=>(const ComputeRecord&) const = default;
  bool operator==(const ComputeRecord&) const = default;
};

/// How a track was stored that another one was made from.
struct EncodingRecord {
  CodecSettings codec;
  Compression compression;
  std::string track_sha256;  ///< of that track's track.json
  /// The record's JSON, where it names an encoding of a newer version; `codec` then says nothing. Else empty.
  std::string unknown;

  bool operator==(const EncodingRecord&) const = default;
};

nlohmann::ordered_json to_json(const TeacherRecord& teacher);
nlohmann::ordered_json to_json(const ComputeRecord& compute);
nlohmann::ordered_json to_json(const EncodingRecord& encoding);
/// "encoding", "codec" (absent when the encoding has no settings), "level", "window" (absent when the level's own).
void put_encoding(const CodecSettings& codec, const Compression& compression, nlohmann::ordered_json& out);

/// Unknown keys are passed over, but for those of an encoding, which may change what the others mean. Throw Error,
/// beginning with `where` and naming the key: kCorrupt for what is missing or of another type, kNewer for an encoding
/// that this version does not know.
TeacherRecord teacher_from_json(const nlohmann::ordered_json& in, const std::string& where);
ComputeRecord compute_from_json(const nlohmann::ordered_json& in, const std::string& where);
EncodingRecord encoding_from_json(const nlohmann::ordered_json& in, const std::string& where);
void take_encoding(const nlohmann::ordered_json& in, const std::string& where, CodecSettings& codec,
                   Compression& compression);

/// Throws Error, beginning with `where`, when a field is out of its range.
void check_teacher(const TeacherRecord& teacher, const std::string& where);
void check_compute(const ComputeRecord& compute, const std::string& where);

/// The fields by which two records differ, by their names in JSON ("device.name"), with both values.
std::vector<JsonDifference> differences(const TeacherRecord& there, const TeacherRecord& here);
std::vector<JsonDifference> differences(const ComputeRecord& there, const ComputeRecord& here);

/// Whether it is SHA-256 in 64 hexadecimal digits.
bool is_sha256(const std::string& word);

}  // namespace vitrine

#endif  // VITRINE_COMMON_CACHE_PROVENANCE_H_
