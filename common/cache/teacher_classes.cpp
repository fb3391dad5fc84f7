#include "common/cache/teacher_classes.h"

#include <algorithm>
#include <cstddef>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/format_version.h"
#include "common/base/hash.h"
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

std::string class_names_sha256(const std::vector<std::string>& names) {
  std::string all;
  for (const std::string& name : names) all += name + "\n";
  return sha256_hex(all);
}

void check_teacher_classes(const std::filesystem::path& cache, const std::string& teacher,
                           const std::vector<std::string>& names) {
  const std::vector<std::string> recorded = read_teacher_classes(cache, teacher);
  if (recorded.empty() || recorded == names) return;
  const auto first = static_cast<std::size_t>(std::ranges::mismatch(recorded, names).in1 - recorded.begin());
  const bool named = first < std::min(recorded.size(), names.size());
  throw Error(ErrorKind::kInput,
              {.path = (cache / teacher / kTeacherClassesFile).string(),
               .what = named ? text("names class ", first, " ", recorded[first], ", which is now ", names[first])
                             : text("names ", recorded.size(), " classes, which are now ", names.size()),
               .remedy = "use the same names; to correct them, remove this file and the teacher's logits, and extract "
                         "those again"});
}

void check_class_names(const std::filesystem::path& cache, const TrackInfo& track) {
  if (track.class_names_sha256.empty()) return;
  const std::string directory = track.directory(), teacher = directory.substr(0, directory.find('/'));
  const std::string path = (cache / teacher / kTeacherClassesFile).string();
  const std::vector<std::string> names = read_teacher_classes(cache, teacher);
  if (names.empty())
    throw Error(ErrorKind::kInput,
                {.path = path,
                 .what = text("is missing, and without it the classes of ", directory, " are not known"),
                 .remedy = "copy it from the cache that the logits come from, or run their extraction again, which "
                           "writes it"});
  if (class_names_sha256(names) != track.class_names_sha256)
    throw Error(ErrorKind::kInput, {.path = path,
                                    .what = text("has other class names than ", directory, " was made with"),
                                    .remedy = "copy both from the same cache"});
}

void write_teacher_classes(const std::filesystem::path& cache, const std::string& teacher,
                           const std::vector<std::string>& names) {
  nlohmann::ordered_json out;
  out["format"] = kClassesFormat;
  out["version"] = kClassesVersion;
  out["names"] = names;
  publish(cache / teacher / kTeacherClassesFile, out.dump(2) + "\n", Existing::kKeep);
  check_teacher_classes(cache, teacher, names);  // of a file that was kept
}

}  // namespace vitrine
