#include "train/evaluate.h"

#include <tbb/parallel_for.h>
#include <torch/torch.h>

#include <cstring>

#include "common/base/error.h"
#include "common/image/transform.h"
#include "common/kernels/normalise.h"
#include "common/models/autocast.h"
#include "common/models/precision.h"
#include "common/models/torch_errors.h"

namespace vitrine {
namespace {

std::shared_ptr<const ImageIndex> scanned(const ImageFolders& folder) {
  return std::make_shared<const ImageIndex>(scan_image_folder(folder, nullptr));
}

std::shared_ptr<const ImageIndex> scanned(const std::string& folder, const std::vector<std::string>& classes,
                                          std::size_t count) {
  auto index = scanned(folder);
  if (classes.empty() && index->classes.size() != count)
    fail(folder, ": has ", index->classes.size(), " class folders, the student ", count,
         " classes; top-1 would mean nothing");
  if (!classes.empty() && index->classes != classes)
    fail(folder,
         ": its class folders are not those of the training images, in the same order; top-1 would mean nothing");
  return index;
}

}  // namespace

Evaluation::Evaluation(const ImageFolders& folder, std::shared_ptr<const ImageIndex> index, int size,
                       const TrainOptions& options)
    : index_(std::move(index)),
      views_(folder, index_, static_cast<std::uint32_t>(size)),
      size_(size),
      options_(options) {}

Evaluation::Evaluation(const std::string& folder, const std::vector<std::string>& classes, std::size_t count, int size,
                       const TrainOptions& options)
    : Evaluation(folder, scanned(folder, classes, count), size, options) {}

Evaluation::Evaluation(const ImageFolders& folder, int size, const TrainOptions& options)
    : Evaluation(folder, scanned(folder), size, options) {}

at::Tensor Evaluation::crops(std::uint32_t first, std::uint32_t count, int size, double crop_fraction) const {
  const at::Tensor bytes = torch::empty({count, size, size, 3}, at::kByte);
  const std::size_t each = static_cast<std::size_t>(size) * static_cast<std::size_t>(size) * 3;
  auto* pixels = bytes.data_ptr<std::uint8_t>();
  tbb::parallel_for(std::uint32_t{0}, count, [&](std::uint32_t i) {
    const Image view = centre_view(views_.picture(first + i), size, crop_fraction);
    std::memcpy(pixels + i * each, view.rgb.data(), each);
  });
  return bytes;
}

void Evaluation::visit(Network& network, at::Device device, const Visit& visit) const {
  constexpr std::uint32_t kBatch = 64;
  const torch::NoGradGuard no_grad;
  network.eval_mode();
  const auto images = static_cast<std::uint32_t>(index_->images.size());
  for (std::uint32_t first = 0; first < images; first += kBatch) {
    const std::uint32_t n = std::min(kBatch, images - first);
    const at::Tensor labels = torch::empty({n}, at::kLong);
    for (std::uint32_t i = 0; i < n; ++i) {
      const std::uint32_t label = index_->images[first + i].label;
      labels.data_ptr<std::int64_t>()[i] = label == kNoLabel ? -1 : std::int64_t{label};
    }
    const at::Tensor pictures = crops(first, n, size_, options_.crop_fraction);
    with_torch_errors({"evaluation", "lower size, or free the GPU of other programs", "check size and model"}, [&] {
      at::Tensor logits;
      {
        const Autocast autocast(device, compute_type(options_.precision));
        logits = network
                     .forward(normalise_pictures(pictures.to(device), three_colours(options_.mean, "mean"),
                                                 three_colours(options_.deviation, "deviation")))
                     .logits;
      }
      visit(logits, labels.to(device), first);
    });
  }
}

Accuracy Evaluation::run(Network& network, at::Device device) const {
  AccuracyCounts counts;
  visit(network, device,
        [&](const at::Tensor& logits, const at::Tensor& labels, std::uint32_t) { counts.add(logits, labels); });
  return counts.accuracy();
}

}  // namespace vitrine
