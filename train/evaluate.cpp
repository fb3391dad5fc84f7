#include "train/evaluate.h"

#include <tbb/parallel_for.h>
#include <torch/torch.h>

#include <cstring>
#include <map>
#include <utility>

#include "common/base/error.h"
#include "common/base/progress.h"
#include "common/image/transform.h"
#include "common/kernels/normalise.h"
#include "common/models/autocast.h"

namespace vitrine {
namespace {

std::shared_ptr<const ImageIndex> scanned(const ImageFolders& folder, const StopFlag& stop) {
  return std::make_shared<const ImageIndex>(scan_image_folder(folder, nullptr, stop));
}

// The index with the model's classes and labels.
ImageIndex matched(ImageIndex index, const std::string& folder, const ModelClasses& classes) {
  std::map<std::string, std::uint32_t> number;
  for (std::size_t c = 0; c < classes.names.size(); ++c) number[classes.names[c]] = static_cast<std::uint32_t>(c);
  constexpr std::size_t kShown = 3;
  std::string strangers;
  std::size_t strange = 0;
  std::vector<std::uint32_t> of_folder;
  for (const std::string& name : index.classes) {
    const auto found = number.find(name);
    if (found != number.end()) {
      of_folder.push_back(found->second);
    } else if (++strange <= kShown) {
      strangers += (strange > 1 ? ", " : "") + name;
    }
  }
  if (strange > 0)
    throw Error(
        ErrorKind::kInput,
        {.path = folder,
         .what = text(strange == 1 ? "the class folder " : "the class folders ", strangers,
                      strange > kShown ? text(" and ", strange - kShown, " more") : "", strange == 1 ? " is" : " are",
                      " none of the ", classes.names.size(), " classes of ", classes.model),
         .remedy = "take other folders out, or rename them as the training images' class folders"});
  for (ImageEntry& image : index.images)
    if (image.label != kNoLabel) image.label = of_folder[image.label];
  index.classes = classes.names;
  return index;
}

std::shared_ptr<const ImageIndex> scanned(const std::string& folder, const ModelClasses& classes,
                                          const StopFlag& stop) {
  ImageIndex index = scan_image_folder(folder, nullptr, stop);
  if (!classes.names.empty()) return std::make_shared<const ImageIndex>(matched(std::move(index), folder, classes));
  if (index.classes.size() != classes.count)
    fail(folder, ": has ", index.classes.size(), " class folders, ", classes.model, " ", classes.count,
         " classes, whose names are not known; top-1 would mean nothing");
  note(text(classes.model, " does not know the names of its classes; they are taken to be the ", classes.count,
            " class folders of ", folder, ", in the order of their names"));
  return std::make_shared<const ImageIndex>(std::move(index));
}

}  // namespace

Evaluation::Evaluation(const ImageFolders& folder, std::shared_ptr<const ImageIndex> index, int size,
                       const TrainOptions& options)
    : index_(std::move(index)),
      views_(folder, index_, static_cast<std::uint32_t>(size)),
      size_(size),
      options_(options),
      arena_(options.workers > 0 ? static_cast<int>(options.workers) : tbb::task_arena::automatic) {}

Evaluation::Evaluation(const std::string& folder, const ModelClasses& classes, int size, const TrainOptions& options,
                       const StopFlag& stop)
    : Evaluation(folder, scanned(folder, classes, stop), size, options) {}

Evaluation::Evaluation(const ImageFolders& folder, int size, const TrainOptions& options, const StopFlag& stop)
    : Evaluation(folder, scanned(folder, stop), size, options) {}

at::Tensor Evaluation::crops(std::uint32_t first, std::uint32_t count, int size, double crop_fraction) const {
  const at::Tensor bytes = torch::empty({count, size, size, 3}, at::kByte);
  const std::size_t each = static_cast<std::size_t>(size) * static_cast<std::size_t>(size) * 3;
  auto* pixels = bytes.data_ptr<std::uint8_t>();
  arena_.execute([&] {
    tbb::parallel_for(std::uint32_t{0}, count, [&](std::uint32_t i) {
      const Image view = centre_view(views_.picture(first + i), size, crop_fraction);
      std::memcpy(pixels + i * each, view.rgb.data(), each);
    });
  });
  return bytes;
}

void Evaluation::visit(Network& network, at::Device device, const Visit& visit, const StopFlag& stop) const {
  constexpr std::uint32_t kBatch = 64;
  const torch::NoGradGuard no_grad;
  network.eval_mode();
  const auto images = static_cast<std::uint32_t>(index_->images.size());
  for (std::uint32_t first = 0; first < images; first += kBatch) {
    throw_if_stopped(stop, "between two batches of images");
    const std::uint32_t n = std::min(kBatch, images - first);
    const at::Tensor labels = torch::empty({n}, at::kLong);
    for (std::uint32_t i = 0; i < n; ++i) {
      const std::uint32_t label = index_->images[first + i].label;
      labels.data_ptr<std::int64_t>()[i] = label == kNoLabel ? -1 : std::int64_t{label};
    }
    const at::Tensor x =
        normalise_pictures(crops(first, n, size_, options_.crop_fraction).to(device),
                           three_colours(options_.mean, "mean"), three_colours(options_.deviation, "deviation"));
    at::Tensor logits;
    {
      const Autocast autocast(device, arithmetic_type(options_.precision));
      logits = network.forward(x).logits;
    }
    visit(logits, labels.to(device), first);
  }
}

Accuracy Evaluation::run(Network& network, at::Device device, const StopFlag& stop) const {
  AccuracyCounts counts;
  visit(
      network, device,
      [&](const at::Tensor& logits, const at::Tensor& labels, std::uint32_t) { counts.add(logits, labels); }, stop);
  return counts.accuracy();
}

}  // namespace vitrine
