#include "common/teacher/zero_shot.h"

#include <ATen/ATen.h>

#include <cmath>
#include <utility>

#include "common/base/error.h"
#include "common/base/json.h"
#include "common/models/autocast.h"
#include "common/models/weights/safetensors.h"

namespace vitrine {
namespace {

constexpr const char* kMake = "make it with tools/scripts/zero_shot_head.py";

[[noreturn]] void refuse_head(const std::filesystem::path& file, const std::string& what) {
  throw Error(ErrorKind::kInput, {.path = file.string(), .what = what, .remedy = kMake});
}

double scalar(const Tensors& tensors, const char* name, const std::filesystem::path& file) {
  const at::Tensor& value = tensors.at(name);
  if (value.numel() != 1 || !value.is_floating_point())
    refuse_head(file, text(name, " has shape ", value.sizes(), ", expected a single number"));
  const double number = value.to(at::kDouble).item<double>();
  if (!std::isfinite(number)) refuse_head(file, text(name, " is not a finite number"));
  return number;
}

std::vector<std::string> class_names(const std::filesystem::path& file, std::int64_t count) {
  const auto metadata = load_safetensors_metadata(file);
  const auto found = metadata.find("classes");
  if (found == metadata.end()) return {};
  const auto json = parse_json(found->second);
  std::vector<std::string> out;
  if (json.is_array())
    for (const auto& name : json)
      if (name.is_string()) out.push_back(name.get<std::string>());
  if (static_cast<std::int64_t>(out.size()) != count)
    refuse_head(file, text("its metadata names ", out.size(), " classes, but text has ", count, " rows"));
  return out;
}

}  // namespace

ZeroShotHead ZeroShotHead::load(const std::filesystem::path& file) {
  const Tensors tensors = load_safetensors(file);
  for (const char* name : {"text", "logit_scale"})
    if (!tensors.contains(name)) refuse_head(file, text("has no tensor \"", name, "\""));
  ZeroShotHead out;
  const at::Tensor& rows = tensors.at("text");
  if (rows.dim() != 2 || rows.size(0) < 2 || rows.size(1) < 1 || !rows.is_floating_point())
    refuse_head(file, text("text has shape ", rows.sizes(), ", expected [classes, values] with at least two classes"));
  const at::Tensor wide = rows.to(at::kDouble), length = wide.norm(2, {1}, /*keepdim=*/true);
  if (!wide.isfinite().all().item<bool>()) refuse_head(file, "text has values that are not finite");
  if (length.eq(0).any().item<bool>()) refuse_head(file, "text has a row of zeros");
  out.rows = wide / length;
  out.scale = scalar(tensors, "logit_scale", file);
  if (tensors.contains("logit_bias")) out.bias = scalar(tensors, "logit_bias", file);
  out.classes = class_names(file, rows.size(0));
  return out;
}

ZeroShotNetwork::ZeroShotNetwork(std::unique_ptr<const TeacherNetwork> tower, ZeroShotHead head, c10::Device device,
                                 const std::string& where)
    : tower_(std::move(tower)), head_(std::move(head)), shape_(tower_->shape()) {
  const auto values = static_cast<std::uint32_t>(head_.rows.size(1));
  from_logits_ = shape_.classes == values;
  if (!from_logits_ && shape_.embedding != values)
    fail(where, ": has text embeddings of ", values, " values, but the teacher's image embedding has ",
         shape_.classes > 0 ? text(shape_.classes, " (its projection) or ") : "", shape_.embedding,
         "; the two must come from one model");
  head_.rows = head_.rows.to(device);
  shape_.classes = static_cast<std::uint32_t>(head_.rows.size(0));
  shape_.embedding = values;
}

TeacherOutputs ZeroShotNetwork::forward(const at::Tensor& x, const TeacherTaps& taps) const {
  TeacherOutputs out = tower_->forward(x, taps);
  if (from_logits_) out.embedding = out.logits;
  const Autocast off(x.device(), at::kFloat);
  // FP64: the scale, up to 100, multiplies the rounding errors of the cosines.
  const at::Tensor image = out.embedding.to(at::kDouble);
  const at::Tensor unit = image / image.norm(2, {1}, /*keepdim=*/true).clamp_min(1e-12);
  out.logits =
      at::addmm(at::full({1}, head_.bias, unit.options()), unit, head_.rows.t(), 1, head_.scale).to(at::kFloat);
  return out;
}

}  // namespace vitrine
