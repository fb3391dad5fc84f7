#include "common/cache/teacher_classes.h"

#include "common/base/files.h"
#include "common/base/format_version.h"
#include "common/base/json_fields.h"

namespace vitrine {
namespace {

constexpr const char* kClassesFormat = "vitrine teacher classes";
constexpr int kClassesVersion = 1;

}  // namespace

std::vector<std::string> read_teacher_classes(const std::filesystem::path& cache, const std::string& teacher) {
  const std::filesystem::path path = cache / teacher / kTeacherClassesFile;
  if (!path_exists(path)) return {};
  const auto in = parse_json<nlohmann::ordered_json>(read_file(path));
  const JsonFields fields(in, path.string());
  if (fields.words("format") != kClassesFormat) fields.damaged(text("is not of the format \"", kClassesFormat, "\""));
  check_format_version(in, path.string(), kClassesVersion);
  std::vector<std::string> out = fields.list_of_words("names");
  if (out.empty()) fields.damaged("names is empty");
  return out;
}

void write_teacher_classes(const std::filesystem::path& cache, const std::string& teacher,
                           const std::vector<std::string>& names) {
  nlohmann::ordered_json out;
  out["format"] = kClassesFormat;
  out["version"] = kClassesVersion;
  out["names"] = names;
  publish(cache / teacher / kTeacherClassesFile, out.dump(2) + "\n", Existing::kKeep);
}

}  // namespace vitrine
