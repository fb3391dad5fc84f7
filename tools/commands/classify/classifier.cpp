#include "tools/commands/classify/classifier.h"

#include <tbb/parallel_for.h>
#include <ATen/ATen.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/image/bad_pictures.h"
#include "common/image/decode.h"
#include "common/image/transform.h"
#include "common/kernels/normalise.h"
#include "common/models/autocast.h"
#include "common/models/torch_errors.h"

namespace vitrine {
namespace {

constexpr std::uint64_t kMaxFileBytes = std::uint64_t{1} << 30;  // 2^28 pixels need less in all common formats

Image decoded(const std::filesystem::path& path, const Decoding& decoding) {
  if (!file_exists(path) || file_bytes(path) > kMaxFileBytes)
    fail(path.string(), ": is not a regular file of at most ", kMaxFileBytes, " bytes; choose another");
  const std::string bytes = read_file(path);
  return decode_image(std::as_bytes(std::span(bytes)), path.string(), decoding);
}

constexpr std::int64_t kUsualBatch = 16;  // that weights are packed for

std::vector<Guess> likeliest(const at::Tensor& probabilities, std::size_t top) {
  const auto count = std::min<std::int64_t>(static_cast<std::int64_t>(top), probabilities.size(0));
  const auto [values, indices] = probabilities.topk(count);
  std::vector<Guess> out;
  for (std::int64_t i = 0; i < count; ++i) out.push_back({indices[i].item<std::int64_t>(), values[i].item<double>()});
  return out;
}

}  // namespace

Classifier::Classifier(const StoredStudent& student, at::Device device, const std::string& precision)
    : record_(student.record),
      file_(student.file.string()),
      device_(device),
      precision_(precision.empty() ? student.record.precision : precision),
      scope_(precision_, device, "--precision"),
      network_(network_of(student, device)) {
  check_record();
  if (network_->resnet() == nullptr || !device.is_cpu()) return;
  const auto size = static_cast<std::int64_t>(record_.size);
  try {
    frozen_.emplace(student.weights, device,
                    FrozenOptions{.type = compute_type(precision_), .shape = {kUsualBatch, size, size}});
  } catch (const Error& error) {
    throw error.at({.path = file_});
  }
  if (!frozen_->fused()) frozen_.reset();
}

Classifier::Classifier(ExportedStudent student)
    : record_(student.record),
      file_(student.file.string()),
      device_(at::kCPU),
      precision_("fp32"),
      scope_(precision_, device_, "--precision"),
      exported_(std::move(student)) {
  check_record();
}

void Classifier::check_record() const {
  if (!(record_.crop_pct > 0)) fail(file_, ": its crop_pct is 0; expected a share in (0, 1]");
}

Image Classifier::view(const std::filesystem::path& path, int size) const {
  return centre_view(decoded(path, record_.decoding), size, {record_.crop_pct});
}

ClassifiedPicture Classifier::read(const std::filesystem::path& path) const {
  ClassifiedPicture out{.path = path};
  try {
    out.crop = view(path, static_cast<int>(record_.size));
  } catch (const Error& error) {
    if (!is_of_a_picture(error)) throw;
    out.error = error.what();
  }
  return out;
}

at::Tensor Classifier::pictures_of(std::span<const Image* const> crops) const {
  const auto size = static_cast<std::int64_t>(record_.size);
  const at::Tensor pictures = at::empty({static_cast<std::int64_t>(crops.size()), size, size, 3}, at::kByte);
  auto* to = pictures.data_ptr<std::uint8_t>();
  for (const Image* crop : crops) {
    std::memcpy(to, crop->rgb.data(), crop->rgb.size());
    to += crop->rgb.size();
  }
  return pictures;
}

at::Tensor Classifier::input_of(std::span<const Image* const> crops) const {
  return normalise_pictures(pictures_of(crops).to(device_), rgb_triplet(record_.mean, "mean"),
                            rgb_triplet(record_.stddev, "std"));
}

at::Tensor Classifier::logits_of(std::span<const Image* const> crops) {
  if (exported_) try {
      return exported_->forward(pictures_of(crops));
    } catch (const Error& error) {
      throw error.at({.path = file_});
    }
  const at::Tensor x = input_of(crops);
  if (frozen_) return frozen_->forward(x);
  const Autocast autocast(device_, compute_type(precision_));
  return network_->forward(x).logits;
}

void Classifier::check_finite(const at::Tensor& logits) const {
  if (at::isfinite(logits).all().item<bool>()) return;
  throw Error(ErrorKind::kInput,
              {.path = file_,
               .what = "its logits are not finite numbers",
               .remedy = precision_ == "fp32" ? "take weights of an earlier step; the training diverged"
                                              : "try --precision fp32, or weights of an earlier step"});
}

std::vector<ClassifiedPicture> Classifier::classify(std::span<const std::filesystem::path> paths, std::size_t top) {
  std::vector<ClassifiedPicture> out(paths.size());
  tbb::parallel_for(std::size_t{0}, paths.size(), [&](std::size_t i) { out[i] = read(paths[i]); });
  std::vector<const Image*> crops;
  for (const ClassifiedPicture& picture : out)
    if (picture.error.empty()) crops.push_back(&picture.crop);
  if (crops.empty()) return out;
  with_torch_errors({"classification", "close other programs", ""}, [&] {
    const at::NoGradGuard no_grad;
    const at::Tensor logits = logits_of(crops).to(at::kCPU, at::kDouble), probabilities = at::softmax(logits, 1);
    check_finite(logits);
    std::int64_t row = 0;
    for (ClassifiedPicture& picture : out)
      if (picture.error.empty()) picture.guesses = likeliest(probabilities[row++], top);
  });
  return out;
}

std::string Classifier::name_of(std::int64_t index) const {
  const auto number = static_cast<std::size_t>(index);
  return number < record_.classes.size() ? record_.classes[number] : text("class ", index);
}

}  // namespace vitrine
