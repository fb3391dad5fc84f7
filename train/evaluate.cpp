#include <torch/torch.h>

#include "train/evaluate.h"

#include <tbb/parallel_for.h>

#include <cstring>

#include "common/base/error.h"
#include "common/image/scan.h"
#include "common/image/transform.h"
#include "common/kernels/normalise.h"
#include "common/models/autocast.h"

namespace vitrine {
namespace {

std::shared_ptr<const ImageIndex> scanned(const std::string& folder, const std::vector<std::string>& classes) {
  ImageIndex index = scan_image_folder(folder, nullptr);
  if (index.classes != classes)
    fail(folder, ": its class folders are not those of the training images, in the same order; top-1 would mean nothing");
  return std::make_shared<const ImageIndex>(std::move(index));
}

}  // namespace

Evaluation::Evaluation(const std::string& folder, const std::vector<std::string>& classes, int size, const TrainOptions& options)
    : index_(scanned(folder, classes)), views_(folder, index_, static_cast<std::uint32_t>(size)), size_(size), options_(options) {}

Accuracy Evaluation::run(Network& network, at::Device device) const {
  constexpr std::size_t kBatch = 64;
  const torch::NoGradGuard no_grad;
  network.eval_mode();
  AccuracyCounts counts;
  const std::size_t picture = static_cast<std::size_t>(size_) * static_cast<std::size_t>(size_) * 3;
  for (std::size_t first = 0; first < index_->images.size(); first += kBatch) {
    const std::size_t n = std::min(kBatch, index_->images.size() - first);
    const at::Tensor bytes = torch::empty({static_cast<std::int64_t>(n), size_, size_, 3}, at::kByte);
    const at::Tensor labels = torch::empty({static_cast<std::int64_t>(n)}, at::kLong);
    auto* pixels = bytes.data_ptr<std::uint8_t>();
    tbb::parallel_for(std::size_t{0}, n, [&](std::size_t i) {
      const Image view = centre_view(views_.picture(static_cast<std::uint32_t>(first + i)), size_, options_.crop_fraction);
      std::memcpy(pixels + i * picture, view.rgb.data(), picture);
    });
    for (std::size_t i = 0; i < n; ++i) labels.data_ptr<std::int64_t>()[i] = index_->images[first + i].label;
    const at::Tensor x = normalise_pictures(bytes.to(device), three_colours(options_.mean, "mean"), three_colours(options_.deviation, "deviation"));
    at::Tensor logits;
    {
      const Autocast autocast(device, options_.precision == "bf16" ? at::kBFloat16 : at::kFloat);
      logits = network.forward(x).logits;
    }
    counts.add(logits, labels.to(device));
  }
  return counts.accuracy();
}

}  // namespace vitrine
