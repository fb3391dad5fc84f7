#include "train/evaluation/evaluate.h"

#include <tbb/parallel_for.h>
#include <ATen/ATen.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <numeric>
#include <optional>
#include <utility>

#include "common/base/counted.h"
#include "common/base/error.h"
#include "common/base/progress.h"
#include "common/image/transform.h"
#include "common/kernels/normalise.h"
#include "common/models/autocast.h"
#include "common/models/precision.h"
#include "common/models/torch_errors.h"

namespace vitrine {
namespace {

// `index` relabelled with the model's classes.
ImageIndex matched(ImageIndex index, const std::string& folder, const ModelClasses& classes) {
  const std::vector<std::uint32_t> of_folder = match_classes(index.classes, folder, classes);
  for (ImageEntry& image : index.images)
    if (image.label != kNoLabel) image.label = of_folder[image.label];
  index.classes = classes.names;
  return index;
}

}  // namespace

std::vector<std::uint32_t> match_classes(const std::vector<std::string>& folders, const std::string& where,
                                         const ModelClasses& classes) {
  std::map<std::string, std::uint32_t> number;
  for (std::size_t c = 0; c < classes.names.size(); ++c) number[classes.names[c]] = static_cast<std::uint32_t>(c);
  constexpr std::size_t kShown = 3;
  std::string strangers;
  std::size_t strange = 0;
  std::vector<std::uint32_t> out;
  for (const std::string& name : folders) {
    const auto found = number.find(name);
    if (found != number.end()) {
      out.push_back(found->second);
    } else if (++strange <= kShown) {
      strangers += (strange > 1 ? ", " : "") + name;
    }
  }
  if (strange > 0)
    throw Error(
        ErrorKind::kInput,
        {.path = where,
         .what = text(strange == 1 ? "the class folder " : "the class folders ", strangers,
                      strange > kShown ? text(" and ", strange - kShown, " more") : "", strange == 1 ? " is" : " are",
                      " not among the ", counted(classes.names.size(), "class", "classes"), " of ", classes.model),
         .remedy = "remove these folders, or name them as the training images' class folders"});
  return out;
}

Evaluation::Scanned Evaluation::scanned(const ImageFolders& folder, const Decoding& decoding, const StopFlag& stop) {
  Scanned out;
  out.index = std::make_shared<const ImageIndex>(scan_image_folder(folder, &out.left_out, stop, decoding));
  return out;
}

Evaluation::Scanned Evaluation::scanned(const ImageFolders& folder, const ModelClasses& classes,
                                        const Decoding& decoding, const StopFlag& stop) {
  ImageFolders folders = folder;
  if (!classes.names.empty()) folders.least_classes = 1;
  Scanned out = scanned(folders, decoding, stop);
  if (!classes.names.empty()) {
    out.index = std::make_shared<const ImageIndex>(matched(*out.index, folder.describe(), classes));
    return out;
  }
  if (out.index->classes.size() != classes.count)
    fail(folder.describe(), ": has ", out.index->classes.size(), " class folders, but ", classes.model, " has ",
         classes.count, " classes without names; top-1 would be meaningless");
  note(text(classes.model, " has no class names; its classes are assumed to be the ", classes.count,
            " class folders of ", folder.describe(), ", in the order of their names"));
  return out;
}

Evaluation::Evaluation(const ImageFolders& folder, Scanned scanned, const EvaluationOptions& options)
    : folder_(folder),
      index_(std::move(scanned.index)),
      left_out_(std::move(scanned.left_out)),
      bad_(std::make_shared<BadPictures>(BadImages::kSkip, index_->images.size(), 1)),
      views_(folder, index_, static_cast<std::uint32_t>(options.size), bad_),
      options_(options),
      arena_(options.workers > 0 ? static_cast<int>(options.workers) : tbb::task_arena::automatic) {}

Evaluation::Evaluation(const ImageFolders& folder, const ModelClasses& classes, const EvaluationOptions& options,
                       const StopFlag& stop)
    : Evaluation(folder, scanned(folder, classes, options.decoding, stop), options) {}

Evaluation::Evaluation(const ImageFolders& folder, const EvaluationOptions& options, const StopFlag& stop)
    : Evaluation(folder, scanned(folder, options.decoding, stop), options) {}

Evaluation::Crops Evaluation::crops(std::span<const std::uint32_t> images, int size, const CleanCrop& crop) const {
  const at::Tensor bytes = at::empty({static_cast<std::int64_t>(images.size()), size, size, 3}, at::kByte);
  const std::size_t each = static_cast<std::size_t>(size) * static_cast<std::size_t>(size) * 3;
  auto* pixels = bytes.data_ptr<std::uint8_t>();
  std::vector<char> read(images.size(), 0);
  arena_.execute([&] {
    tbb::parallel_for(std::size_t{0}, images.size(), [&](std::size_t i) {
      const std::optional<Image> picture = views_.picture_or_none(images[i]);
      if (!picture) return;
      const Image view = centre_view(*picture, size, crop);
      std::memcpy(pixels + i * each, view.rgb.data(), each);
      read[i] = 1;
    });
  });
  Crops out;
  std::vector<std::int64_t> rows;
  for (std::size_t i = 0; i < images.size(); ++i) {
    if (!read[i]) continue;
    rows.push_back(static_cast<std::int64_t>(i));
    out.images.push_back(images[i]);
  }
  out.pictures = rows.size() == images.size() ? bytes : bytes.index_select(0, at::tensor(rows, at::kLong));
  return out;
}

std::vector<LeftOut> Evaluation::left_out() const {
  std::vector<LeftOut> out = left_out_;
  for (LeftOut& met : bad_->met()) out.push_back(std::move(met));
  for (LeftOut& entry : out) entry.id = folder_.path_of(entry.id);
  return out;
}

void Evaluation::visit(Network& network, at::Device device, const Visit& visit, const StopFlag& stop) const {
  constexpr std::uint32_t kBatch = 64;
  const at::NoGradGuard no_grad;
  network.eval_mode();
  const auto count = static_cast<std::uint32_t>(index_->images.size());
  bool any = false;
  for (std::uint32_t first = 0; first < count; first += kBatch) {
    throw_if_stopped(stop, "between two batches of images");
    std::vector<std::uint32_t> wanted(std::min(kBatch, count - first));
    std::iota(wanted.begin(), wanted.end(), first);
    const Crops crops = this->crops(wanted, options_.size, {options_.crop_pct});
    if (crops.images.empty()) continue;
    any = true;
    std::vector<std::int64_t> labels;
    for (const std::uint32_t image : crops.images) {
      const std::uint32_t label = index_->images[image].label;
      labels.push_back(label == kNoLabel ? -1 : std::int64_t{label});
    }
    with_torch_errors({"evaluation", "lower size, or free the GPU of other programs", "check size and model"}, [&] {
      const at::Tensor x = normalise_pictures(crops.pictures.to(device), rgb_triplet(options_.mean, "mean"),
                                              rgb_triplet(options_.stddev, "std"));
      at::Tensor logits;
      {
        const Autocast autocast(device, compute_type(options_.precision));
        logits = network.forward(x).logits;
      }
      visit(logits, at::tensor(labels, at::kLong).to(device), crops.images);
    });
  }
  if (any) return;
  const LeftOut first = bad_->met().front();
  throw Error(ErrorKind::kIo, {.what = text("none of the ", count, " images of ", folder_.describe(),
                                            " can be read any more; ", first.id, ": ", first.reason)});
}

Accuracy Evaluation::run(Network& network, at::Device device, const StopFlag& stop) const {
  AccuracyCounts counts;
  visit(
      network, device,
      [&](const at::Tensor& logits, const at::Tensor& labels, std::span<const std::uint32_t>) {
        counts.add(logits, labels);
      },
      stop);
  return counts.accuracy();
}

}  // namespace vitrine
