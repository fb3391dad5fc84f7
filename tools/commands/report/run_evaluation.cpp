#include "tools/commands/report/run_evaluation.h"

#include <string_view>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/json.h"
#include "common/base/json_fields.h"
#include "common/base/json_text.h"
#include "train/run_files/run_files.h"

namespace vitrine {
namespace {

using Json = nlohmann::ordered_json;
constexpr int kVersion = 1;
constexpr const char* kShares[] = {"top1", "top5", "calibration_error", "confidence", "agreement"};

// Parallel to kShares.
template <class Of>
auto shares_of(Of& evaluation) {
  return std::array{&evaluation.top1, &evaluation.top5, &evaluation.calibration_error, &evaluation.confidence,
                    &evaluation.agreement};
}

Json json_of(const std::vector<Answer>& answers) {
  Json out = Json::array();
  for (const Answer& answer : answers) out.push_back({{"class", answer.name}, {"probability", answer.probability}});
  return out;
}

Json json_of(const HardPicture& one) {
  Json out = {{"id", one.id}, {"label", one.label}, {"loss", one.loss}, {"student", json_of(one.student)}};
  if (!one.teacher.empty()) out["teacher"] = json_of(one.teacher);
  out["picture"] = one.picture;
  if (!one.student_map.empty()) out["student_map"] = one.student_map;
  if (!one.teacher_map.empty()) out["teacher_map"] = one.teacher_map;
  return out;
}

std::vector<Answer> answers_of(const JsonFields& in, const char* key) {
  std::vector<Answer> out;
  if (!in.has(key)) return out;
  for (const auto& entry : in.array(key)) {
    const JsonFields one(entry, in.where(), text(key, '.'));
    out.push_back({one.words("class"), one.number("probability", 0, 1)});
  }
  return out;
}

// Only what data_uri() makes reaches a page.
std::string picture_of(const JsonFields& in, const char* key) {
  const std::string uri = in.words_or(key, "");
  if (uri.empty()) return uri;
  constexpr std::string_view kStart = "data:image/jpeg;base64,";
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";
  if (!uri.starts_with(kStart) || uri.find_first_not_of(kDigits, kStart.size()) != std::string::npos)
    in.damaged(text("hardest.", key, " is not a JPEG in base64"));
  return uri;
}

RunEvaluation evaluation_of(const JsonFields& in) {
  RunEvaluation out;
  out.weights = in.words("weights");
  out.weights_sha256 = in.words_or("weights_sha256", "");
  out.about = in.words_or("about", "");
  out.folder = in.words("images_in");
  out.teacher = in.words_or("teacher", "");
  out.loss_of = in.words_or("loss_of", "loss");
  out.images = in.integer<std::uint64_t>("images");
  out.left_out = in.integer_or<std::uint64_t>("left_out", 0);
  const auto shares = shares_of(out);
  for (std::size_t i = 0; i < shares.size(); ++i)
    if (in.has(kShares[i])) *shares[i] = in.number(kShares[i], 0, 1);
  if (in.has("loss")) out.loss = in.number("loss");
  if (in.has("classes"))
    for (const auto& entry : in.array("classes")) {
      const JsonFields one(entry, in.where(), "classes.");
      out.classes.push_back(
          {one.words("name"), one.integer<std::uint64_t>("images"), one.integer<std::uint64_t>("right")});
    }
  if (in.has("hardest"))
    for (const auto& entry : in.array("hardest")) {
      const JsonFields one(entry, in.where(), "hardest.");
      out.hardest.push_back({one.words("id"), one.words_or("label", ""), one.number("loss"), answers_of(one, "student"),
                             answers_of(one, "teacher"), picture_of(one, "picture"), picture_of(one, "student_map"),
                             picture_of(one, "teacher_map")});
    }
  return out;
}

}  // namespace

void write_evaluation(const std::filesystem::path& run, const RunEvaluation& evaluation) {
  Json json = {{"version", kVersion},
               {"weights", evaluation.weights},
               {"weights_sha256", evaluation.weights_sha256},
               {"about", evaluation.about},
               {"images_in", evaluation.folder},
               {"images", evaluation.images},
               {"left_out", evaluation.left_out}};
  const auto shares = shares_of(evaluation);
  for (std::size_t i = 0; i < shares.size(); ++i)
    if (*shares[i]) json[kShares[i]] = **shares[i];
  if (!evaluation.teacher.empty()) json["teacher"] = evaluation.teacher;
  json["loss_of"] = evaluation.loss_of;
  if (evaluation.loss) json["loss"] = *evaluation.loss;
  for (const ClassScore& one : evaluation.classes)
    json["classes"].push_back({{"name", one.name}, {"images", one.images}, {"right", one.right}});
  for (const HardPicture& one : evaluation.hardest) json["hardest"].push_back(json_of(one));
  // Names of files and classes may be any bytes.
  publish(RunFiles(run).evaluation(), json_text(json, 1));
}

std::optional<RunEvaluation> read_evaluation(const std::filesystem::path& run) {
  const std::filesystem::path path = RunFiles(run).evaluation();
  if (!path_exists(path)) return std::nullopt;
  const Json json = parse_json<Json>(read_file(path));
  const JsonFields fields(json, path.string());
  if (fields.integer<int>("version") > kVersion)
    throw Error(ErrorKind::kNewer, {.path = path.string(),
                                    .what = "was written by a newer version",
                                    .remedy = "update Vitrine, or evaluate again with --evaluate"});
  return evaluation_of(fields);
}

}  // namespace vitrine
