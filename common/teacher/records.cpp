#include "common/teacher/records.h"

#include <nlohmann/json.hpp>

#include "common/base/error.h"
#include "common/base/json.h"
#include "common/models/vit/structure.h"

namespace vitrine {
namespace {

constexpr const char* kInterpolation = "bicubic";

[[noreturn]] void unsupported(const TrackInfo& track, const std::string& what) {
  throw Error(ErrorKind::kNewer, {.path = track.directory(),
                                  .what = text("its teacher cannot be rebuilt: this version does not support ", what),
                                  .remedy = "use the version of vitrine that made the cache"});
}

std::shared_ptr<const VitStructure> structure_of(const TrackInfo& track) {
  nlohmann::ordered_json settings = to_json(VitStructure());
  settings.update(parse_json<nlohmann::ordered_json>(track.teacher.architecture.settings));
  return std::make_shared<const VitStructure>(
      vit_structure_from_json(settings, text(track.directory(), ": teacher.architecture")));
}

}  // namespace

TeacherRecord teacher_record(const TeacherOptions& options, const ArchitectureRecord& architecture,
                             const std::string& weights_sha256, const std::optional<WeightsSize>& resampled_from) {
  TeacherRecord out;
  out.name = options.name;
  out.weights_sha256 = weights_sha256;
  out.zero_shot = !options.zero_shot.empty();
  out.architecture = architecture;
  out.resampled_from = resampled_from;
  out.mean = options.mean;
  out.stddev = options.stddev;
  out.crop_pct = options.crop_pct;
  out.interpolation = kInterpolation;
  out.license = options.license;
  return out;
}

TeacherOptions teacher_options(const TrackInfo& track, const TeacherFiles& files, const std::string& device) {
  const TeacherRecord& teacher = track.teacher;
  if (teacher.interpolation != kInterpolation)
    unsupported(track, text("the interpolation \"", teacher.interpolation, '"'));
  TeacherOptions out;
  out.name = teacher.name;
  if (teacher.architecture.family == "vit") {
    out.weights = files.weights;
    out.structure = structure_of(track);
  } else if (teacher.architecture.family == "module") {
    out.module = files.weights;
    out.allow_module = files.allow_module;
  } else {
    unsupported(track, text("the family of models \"", teacher.architecture.family, '"'));
  }
  out.zero_shot = files.zero_shot;
  if (teacher.zero_shot == files.zero_shot.empty())
    fail(track.directory(), teacher.zero_shot
                                ? ": its logits come from class text embeddings; give their file (--zero-shot)"
                                : ": its teacher has a head, and no class text embeddings (--zero-shot)");
  out.precision = track.made_with.precision;
  if (const auto& p = out.precision; p != "fp32" && p != "tf32" && p != "bf16" && p != "fp16")
    unsupported(track, text("the precision \"", out.precision, '"'));
  out.device = device.empty() ? track.made_with.device.kind : device;
  out.micro_batch = track.made_with.micro_batch;
  out.mean = teacher.mean;
  out.stddev = teacher.stddev;
  out.crop_pct = teacher.crop_pct;
  out.crop_mode = "center";  // of clean crops, on which no track is computed; the next line too
  out.interpolation = kInterpolation;
  out.license = teacher.license;
  return out;
}

TeacherOptions filled_from(const TrackInfo& track, bool same_weights, TeacherOptions options) {
  const TeacherRecord& teacher = track.teacher;
  if (options.mean.empty()) options.mean = teacher.mean;
  if (options.stddev.empty()) options.stddev = teacher.stddev;
  if (options.crop_pct == 0) options.crop_pct = teacher.crop_pct;
  if (same_weights && teacher.architecture.family == "vit" && !options.weights.empty())
    options.structure = structure_of(track);
  return options;
}

}  // namespace vitrine
