#include "tools/commands/classify/explain.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstring>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/eval/grad_cam.h"
#include "common/image/overlay.h"
#include "common/image/write.h"
#include "common/models/torch_errors.h"

namespace vitrine {
namespace {

constexpr int kQuality = 92;  // of the JPEGs

Image side_by_side(const Image& left, const Image& right) {
  Image out(left.height, left.width + right.width);
  for (int y = 0; y < left.height; ++y) {
    const std::size_t own = std::size_t{3} * static_cast<std::size_t>(left.width);
    std::memcpy(out.row(y), left.row(y), own);
    std::memcpy(out.row(y) + own, right.row(y), std::size_t{3} * static_cast<std::size_t>(right.width));
  }
  return out;
}

std::string numbered(std::size_t number, const std::filesystem::path& picture) {
  std::string digits = std::to_string(number);
  digits.insert(0, digits.size() < 5 ? 5 - digits.size() : 0, '0');
  constexpr std::size_t kLongest = 200;  // bytes; a file's name may have 255
  const std::string name = picture.stem().string();
  return digits + (name.size() <= kLongest ? "-" + name : std::string()) + ".jpg";
}

std::unique_ptr<const Teacher> open(const std::string& weights) {
  TeacherOptions options;
  options.weights = weights;
  options.micro_batch = 1;
  TapOptions taps;
  taps.logits = false;
  taps.attention = {-1};
  taps.attention_mean = true;
  return std::make_unique<const Teacher>(options, taps);
}

}  // namespace

Explainer::Explainer(Classifier& classifier, std::filesystem::path directory, const std::string& teacher)
    : classifier_(classifier), directory_(std::move(directory)) {
  Network* network = classifier.network();
  if (network == nullptr)
    fail("--explain follows gradients, which an ONNX file does not give; give the run or its safetensors");
  const auto module = std::dynamic_pointer_cast<ResNetImpl>(network->module().shared_from_this());
  if (!module) fail("--explain draws the Grad-CAM of a ResNet, but this student is a ViT");
  resnet_ = ResNet(module);
  if (!teacher.empty()) teacher_ = open(teacher);
}

void Explainer::make_directory() const {
  make_directories(directory_);
}

std::filesystem::path Explainer::file_of(std::size_t number, const std::filesystem::path& picture) const {
  return directory_ / numbered(number, picture);
}

std::vector<Image> Explainer::student_maps(std::span<const ClassifiedPicture* const> pictures) {
  std::vector<const Image*> crops;
  std::vector<std::int64_t> classes;
  for (const ClassifiedPicture* picture : pictures) {
    crops.push_back(&picture->crop);
    classes.push_back(picture->guesses.front().index);
  }
  const at::Tensor maps = with_torch_errors({"Grad-CAM", "close other programs", ""}, [&] {
    return grad_cam(resnet_, classifier_.input_of(crops), at::tensor(classes, at::kLong)).cpu().contiguous();
  });
  std::vector<Image> out;
  const auto rows = static_cast<int>(maps.size(1)), columns = static_cast<int>(maps.size(2));
  const auto each = static_cast<std::size_t>(maps.size(1) * maps.size(2));
  for (std::size_t i = 0; i < crops.size(); ++i)
    out.push_back(overlay(*crops[i], {maps.const_data_ptr<float>() + i * each, each}, rows, columns));
  return out;
}

Image Explainer::teacher_map(const ClassifiedPicture& picture) const {
  const Image view = classifier_.view(picture.path, teacher_->image_size());
  std::vector<float> map = teacher_->run(view.rgb, 1).at(0);
  const TrackInfo track = teacher_->outputs().at(0);
  const float largest = *std::ranges::max_element(map);
  for (float& value : map) value = largest > 0 ? value / largest : 0;
  const auto rows = static_cast<int>(track.shape.at(1)), columns = static_cast<int>(track.shape.at(2));
  return overlay(picture.crop, map, rows, columns);
}

std::vector<std::filesystem::path> Explainer::explain(std::span<const ClassifiedPicture> pictures, std::size_t first) {
  constexpr std::size_t kAtOnce = 8;  // a forward with gradients keeps every activation
  std::vector<std::filesystem::path> out(pictures.size());
  std::vector<const ClassifiedPicture*> read;
  for (const ClassifiedPicture& picture : pictures)
    if (picture.error.empty()) read.push_back(&picture);
  for (std::size_t begin = 0; begin < read.size(); begin += kAtOnce) {
    const auto part = std::span(read).subspan(begin, std::min(kAtOnce, read.size() - begin));
    const std::vector<Image> maps = student_maps(part);
    for (std::size_t i = 0; i < part.size(); ++i) {
      const auto place = static_cast<std::size_t>(part[i] - pictures.data());
      const Image image = teacher_ ? side_by_side(maps[i], teacher_map(*part[i])) : maps[i];
      const std::vector<std::byte> jpeg = encode_jpeg(image, kQuality);
      out[place] = file_of(first + place, part[i]->path);
      publish(out[place], {reinterpret_cast<const char*>(jpeg.data()), jpeg.size()});
    }
  }
  return out;
}

}  // namespace vitrine
