#include "train/student/student.h"

#include <torch/nn/modules/batchnorm.h>
#include <ATen/ATen.h>

#include <optional>

#include "common/kernels/normalise.h"
#include "common/models/autocast.h"
#include "common/models/precision.h"
#include "common/models/weights/load.h"

namespace vitrine {

Student::Student(const StudentOptions& options, int classes, at::Device device, const std::vector<std::string>& names)
    : options_(options),
      device_(device),
      names_(names),
      classes_(static_cast<std::uint64_t>(classes)),
      mean_(rgb_triplet(options.mean, "mean")),
      stddev_(rgb_triplet(options.stddev, "std")),
      network_(options.model, classes, device, names) {
  if (options.ema.decay > 0) average_ = std::make_unique<WeightEma>(options.ema, network_.module());
}

NetworkOutputs Student::forward(const at::Tensor& pictures) {
  const Autocast autocast(device_, compute_type(options_.precision));
  return network_.forward(normalise_pictures(pictures, mean_, stddev_));
}

void Student::train_mode(bool frozen, bool frozen_batch_norm) {
  network_.train_mode(frozen || frozen_batch_norm);
  for (at::Tensor& parameter : network_.module().parameters()) parameter.requires_grad_(!frozen);
}

void Student::updated() {
  if (average_) average_->update();
}

void Student::reestimate_batch_norm(const std::function<at::Tensor()>& next) {
  const at::NoGradGuard no_grad;
  network_.train_mode(false);
  at::Tensor pictures = next();
  if (!pictures.defined()) return;
  for (const BatchNorm2dPtr& norm : network_.batch_norms()) {
    norm->reset_running_stats();
    norm->options.momentum(std::nullopt);  // the cumulative mean over all batches
  }
  for (; pictures.defined(); pictures = next()) forward(pictures);
}

Student::Averaged::Averaged(Student& student) : average_(student.average()) {
  if (average_ != nullptr) average_->swap();
}

Student::Averaged::~Averaged() {
  if (average_ != nullptr) average_->swap();
}

Tensors Student::weights() {
  return state_dict(network_.module());
}

WeightsRecord Student::record(std::uint64_t step) const {
  WeightsRecord out;
  out.model.kind = options_.model.kind;
  out.model.arch = options_.model.arch;
  out.model.width = options_.model.width;
  if (out.model.kind == "vit") out.model.vit = resolve(options_.model.vit);
  out.size = static_cast<std::uint32_t>(options_.size);
  out.mean = options_.mean;
  out.stddev = options_.stddev;
  out.crop_pct = options_.crop_pct;
  out.decoding = options_.decoding;
  out.precision = options_.precision;
  out.classes = names_;
  out.class_count = classes_;
  out.step = step;
  return out;
}

}  // namespace vitrine
