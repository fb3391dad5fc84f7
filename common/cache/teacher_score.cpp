#include "common/cache/teacher_score.h"

#include "common/base/files.h"
#include "common/base/format_version.h"
#include "common/base/json_fields.h"

namespace vitrine {
namespace {

constexpr const char* kScoreFormat = "vitrine teacher check";
constexpr int kScoreVersion = 1;

}  // namespace

std::string TeacherScore::json() const {
  nlohmann::ordered_json out;
  out["format"] = kScoreFormat;
  out["version"] = kScoreVersion;
  out["images"] = images;
  out["top1"] = top1;
  out["top5"] = top5;
  out["confidence"] = confidence;
  out["calibration_error"] = calibration_error;
  return out.dump(2) + "\n";
}

TeacherScore TeacherScore::from_json(const std::string& json, const std::string& where) {
  const auto in = parse_json<nlohmann::ordered_json>(json);
  const JsonFields fields(in, where);
  if (fields.words("format") != kScoreFormat) fields.damaged(text("is not of the format \"", kScoreFormat, "\""));
  check_format_version(in, where, kScoreVersion);
  TeacherScore out{fields.integer<std::uint64_t>("images"), fields.number("top1", 0, 1), fields.number("top5", 0, 1),
                   fields.number("confidence", 0, 1), fields.number("calibration_error", 0, 1)};
  if (out.images == 0) fields.damaged("images = 0, so that there is no score");
  return out;
}

std::optional<TeacherScore> read_teacher_score(const std::filesystem::path& cache, const std::string& teacher) {
  const std::filesystem::path path = cache / teacher / kTeacherScoreFile;
  if (!path_exists(path)) return std::nullopt;
  return TeacherScore::from_json(read_file(path), path.string());
}

void write_teacher_score(const std::filesystem::path& cache, const std::string& teacher, const TeacherScore& score) {
  publish(cache / teacher / kTeacherScoreFile, score.json(), Existing::kKeep);
}

}  // namespace vitrine
