#include "tools/commands/distil/configuration.h"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <numeric>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/teacher/teacher_options.h"

namespace vitrine {
namespace {

namespace fs = std::filesystem;

// Below it a student without a teacher was best without MixUp and CutMix (train/RESULTS.md).
constexpr std::uint64_t kFewForMixing = 50'000;

// Lines of "key = value  # comment".
class Toml {
 public:
  Toml& written_by(const std::string& rest) { return raw("# Written by vitrine distil" + rest); }
  Toml& section(const std::string& name) { return raw("\n[" + name + "]"); }
  Toml& words(const std::string& key, const std::string& value, const std::string& comment = {}) {
    return entry(key, nlohmann::json(value).dump(), comment);  // JSON's escapes are TOML's
  }
  Toml& path(const std::string& key, const std::string& value, const std::string& comment = {}) {
    const std::string whole = absolute_path(value);
    require_utf8(whole);
    return words(key, whole, comment);
  }
  Toml& number(const std::string& key, double value, const std::string& comment = {}) {
    return entry(key, nlohmann::json(value).dump(), comment);
  }
  Toml& whole(const std::string& key, std::uint64_t value, const std::string& comment = {}) {
    return entry(key, std::to_string(value), comment);
  }
  Toml& flag(const std::string& key, bool value) { return entry(key, value ? "true" : "false", ""); }
  Toml& entry(const std::string& key, const std::string& value, const std::string& comment) {
    return raw(key + " = " + value + (comment.empty() ? "" : "  # " + comment));
  }
  std::string text() const { return out_; }

 private:
  Toml& raw(const std::string& line) {
    out_ += line + "\n";
    return *this;
  }
  std::string out_;
};

std::string why(const DistilChoice& choice, const std::string& what) {
  for (const DistilChoice::Reason& reason : choice.reasons)
    if (reason.what == what) return reason.why;
  return "";
}

std::string names_file(const DistilRequest& request) {
  return (fs::path(request.out) / kClassNames).string();
}

// What every configuration says of the photos.
void photos(const DistilRequest& request, const Found& found, bool unlabelled, Toml& out) {
  out.path("images", request.photos);
  if (unlabelled && !request.unlabelled.empty()) out.path("unlabelled", request.unlabelled);
  if (!request.labels()) out.words("labels", "none");
  if (found.hold_out > 0) out.number("hold_out", found.hold_out, "validates the student");
  if (request.exif_orientation != "ignore") out.words("exif_orientation", request.exif_orientation);
}

void validation(const DistilRequest& request, Toml& out) {
  if (!request.validation.empty()) out.path("validation", request.validation);
  if (!request.test.empty()) out.path("test", request.test);
}

void model(const DistilRequest& request, Toml& out) {
  out.section("model").words("arch", request.student);
  if (!request.student_weights.empty()) out.path("weights", request.student_weights);
}

void phase(Toml& out, const char* name, double epochs, double lr, double warm_up) {
  out.section(text("schedule.", name)).number("epochs", epochs);
  if (epochs <= 0) return;
  out.number("lr", lr);
  if (warm_up > 0) out.number("warm_up_epochs", warm_up);
}

void optimizer(const DistilChoice& choice, Toml& out) {
  out.section("optimizer").number("weight_decay", choice.weight_decay, why(choice, "weight decay"));
}

void run(const DistilRequest& request, const Found& found, const DistilChoice& choice, std::uint32_t batch, Toml& out) {
  out.whole("size", choice.size, why(choice, "size"))
      .whole("batch", batch, batch == choice.batch ? why(choice, "batch") : "a pass over the labelled photos")
      .words("precision", found.precision, "the faster on this machine")
      .words("device", request.device)
      .whole("seed", request.seed);
}

}  // namespace

std::string extract_configuration(const DistilRequest& request, const Found& found, const DistilChoice& choice) {
  const std::uint32_t module_batch = found.facts.module_batch;
  Toml out;
  out.written_by("; vitrine extract THIS_FILE makes or resumes the cache.");
  photos(request, found, true, out);
  out.path("cache", request.cache_directory()).whole("passes", choice.passes, why(choice, "passes"));
  if (!found.class_names.empty()) out.path("class_names", names_file(request), "the teacher's, in its order");
  out.section("teacher").path(request.teacher_key(), found.teacher_file);
  if (found.teacher_file != request.teacher && !found.teacher.empty()) out.words("name", found.teacher);
  out.words("precision", found.teacher_precision,
            module_batch > 0 ? "as the module was exported" : "the faster on this machine")
      .words("device", request.device);
  if (module_batch > 0)
    out.whole("micro_batch", module_batch, "as the module was exported");
  else if (const std::uint32_t most = TeacherOptions().micro_batch; choice.group % most != 0)
    out.whole("micro_batch", std::gcd(choice.group, most), "divides the group");
  out.section("taps");
  if (!found.facts.teacher_fits) out.flag("logits", false);
  out.entry("features", "[-1]", "the last block").number("max_error", choice.max_error, why(choice, "max_error"));
  if (found.facts.has_attention) out.entry("attention", "[-1]", "").flag("attention_mean", true);
  out.section("plan")
      .whole("image_size", found.facts.teacher_size)
      .whole("group", choice.group)
      .number("mix_probability", choice.mix_probability, why(choice, "views"))
      .number("min_area", choice.min_area)
      .whole("seed", request.seed);
  return out.text();
}

std::string train_configuration(const DistilRequest& request, const Found& found, const DistilChoice& choice) {
  Toml out;
  out.written_by("; vitrine train THIS_FILE trains or resumes the student.");
  photos(request, found, true, out);
  validation(request, out);
  out.path("output", request.out);
  run(request, found, choice, choice.batch, out);
  model(request, out);
  out.section("targets").words("source", "cache").path("cache", request.cache_directory());
  out.words("features", text("features.", found.last_block));
  if (found.facts.has_attention) out.words("attention", text("attention.", found.last_block));
  if (!found.class_names.empty()) out.path("class_names", names_file(request));
  if (found.facts.teacher_fits)
    out.path(text("teacher.", request.teacher_key()), found.teacher_file,
             request.labels() ? "evaluated beside the student" : "validates by agreement")
        .words("teacher.device", request.device);
  if (found.facts.teacher_fits && found.teacher_file != request.teacher && !found.teacher.empty())
    out.words("teacher.name", found.teacher);
  out.section("transformer").words("direction", "student_to_teacher");
  phase(out, "align", choice.align_epochs, 0.01, 0);
  phase(out, "joint", choice.joint_epochs, choice.lr, choice.warm_up_epochs);
  phase(out, "fine_tune", choice.fine_tune_epochs, choice.fine_tune_lr, 0);
  out.section("schedule");
  for (const char* weight : {"w_out_from", "w_out_to", "w_feat_from", "w_feat_to"}) out.number(weight, 1.0);
  optimizer(choice, out);
  return out.text();
}

std::string baseline_configuration(const DistilRequest& request, const Found& found, const DistilChoice& choice) {
  const BaselineChoice own = choose_baseline(found.facts, choice);
  const bool few = found.facts.images < kFewForMixing;
  Toml out;
  out.written_by(": the same network from labels alone, for as long as cache and student take.");
  photos(request, found, false, out);
  validation(request, out);
  out.path("output", (fs::path(request.out) / "baseline").string());
  run(request, found, choice, own.batch, out);
  model(request, out);
  out.section("targets").words("source", "none");
  out.section("plan")
      .whole("image_size", choice.size)
      .whole("group", choice.group)
      .number("mix_probability", few ? 0.0 : choice.mix_probability,
              few ? "mixing harms labels alone on few photos" : "")
      .number("min_area", choice.min_area)
      .whole("seed", request.seed);
  phase(out, "align", 0, 0, 0);
  phase(out, "joint", own.epochs, own.lr, 0.05 * own.epochs);
  phase(out, "fine_tune", 0, 0, 0);
  optimizer(choice, out);
  return out.text();
}

void write_class_names(const fs::path& directory, const Found& found) {
  if (found.class_names.empty()) return;
  std::string lines;
  for (const std::string& name : found.class_names) lines += name + "\n";
  publish(directory / kClassNames, lines);
}

}  // namespace vitrine
