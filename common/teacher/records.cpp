#include "common/teacher/records.h"

#include "common/base/error.h"

namespace vitrine {
namespace {

struct Size {
  int VitOptions::*option;
  std::uint32_t ArchitectureRecord::*record;
};
constexpr Size kSizes[] = {{&VitOptions::image_size, &ArchitectureRecord::image_size},
                           {&VitOptions::patch, &ArchitectureRecord::patch},
                           {&VitOptions::dim, &ArchitectureRecord::width},
                           {&VitOptions::depth, &ArchitectureRecord::depth},
                           {&VitOptions::heads, &ArchitectureRecord::heads},
                           {&VitOptions::mlp_ratio, &ArchitectureRecord::mlp_ratio},
                           {&VitOptions::classes, &ArchitectureRecord::classes}};
constexpr const char* kInterpolation = "bicubic";

[[noreturn]] void unsupported(const TrackInfo& track, const std::string& what) {
  throw Error(ErrorKind::kNewer, {.path = track.directory(),
                                  .what = text("its teacher cannot be rebuilt: this version does not support ", what),
                                  .remedy = "use the version of vitrine that made the cache"});
}

}  // namespace

TeacherRecord teacher_record(const TeacherOptions& options, const std::string& weights_sha256) {
  TeacherRecord out;
  out.name = options.name;
  out.weights_sha256 = weights_sha256;
  for (const Size& size : kSizes) out.architecture.*size.record = static_cast<std::uint32_t>(options.vit.*size.option);
  out.mean = options.mean;
  out.stddev = options.stddev;
  out.crop_pct = options.crop_pct;
  out.interpolation = kInterpolation;
  out.license = options.license;
  return out;
}

TeacherOptions teacher_options(const TrackInfo& track, const std::string& weights, const std::string& device) {
  const TeacherRecord& teacher = track.teacher;
  if (teacher.architecture.family != ArchitectureRecord().family)
    unsupported(track, text("the family of models \"", teacher.architecture.family, '"'));
  if (!teacher.architecture.unknown.empty())
    unsupported(track, "teacher.architecture." + teacher.architecture.unknown.front());
  if (teacher.interpolation != kInterpolation)
    unsupported(track, text("the interpolation \"", teacher.interpolation, '"'));
  TeacherOptions out;
  out.name = teacher.name;
  out.weights = weights;
  out.vit.arch = "";
  for (const Size& size : kSizes) out.vit.*size.option = static_cast<int>(teacher.architecture.*size.record);
  out.precision = track.made_with.precision;
  if (const auto& p = out.precision; p != "fp32" && p != "tf32" && p != "bf16" && p != "fp16")
    unsupported(track, text("the precision \"", out.precision, '"'));
  out.device = device.empty() ? track.made_with.device.kind : device;
  out.micro_batch = track.made_with.micro_batch;
  out.mean = teacher.mean;
  out.stddev = teacher.stddev;
  out.crop_pct = teacher.crop_pct;
  out.license = teacher.license;
  return out;
}

}  // namespace vitrine
