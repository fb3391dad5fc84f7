// What an exported file says of the student: its record (weights_record.h), and for other programs its preprocessing
// and origin.
#ifndef VITRINE_TOOLS_COMMANDS_EXPORT_DESCRIPTION_H_
#define VITRINE_TOOLS_COMMANDS_EXPORT_DESCRIPTION_H_

#include <cstdint>
#include <map>
#include <string>

#include "train/run/stored_student.h"

namespace vitrine {

/// What an exported graph takes.
enum class GraphInput : std::uint8_t {
  kFloat,  ///< FP32 [N, 3, H, W], RGB, normalised: (value / 255 - mean) / std
  kUint8   ///< uint8 [N, H, W, 3], RGB; the graph normalises
};

/// WeightsRecord::metadata(), and as JSON:
///  vitrine.preprocessing  {"size", "resize_shorter_side", "crop", "interpolation", "antialias", "colours",
///                          "exif_orientation", "grey16", "mean", "std", "input"}: from a picture to the graph's input
///  vitrine.origin         {"weights", "sha256", "vitrine"}: name and SHA-256 of the file that was exported, version
std::map<std::string, std::string> description_of(const StoredStudent& student, GraphInput input);

/// The description as one JSON object, for archives (kRecordEntry).
std::string as_json(const std::map<std::string, std::string>& description);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_EXPORT_DESCRIPTION_H_
