#include "tools/commands/report/evaluate/attention.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstring>

#include "common/base/error.h"
#include "common/image/overlay.h"
#include "common/image/transform.h"
#include "common/teacher/teacher.h"

namespace vitrine {
namespace {

TapOptions attention_of_last_block() {
  TapOptions taps;
  taps.attention = {-1};
  taps.attention_mean = true;
  return taps;
}

// The number of the teacher's output that is attention, and its sides.
struct AttentionOutput {
  std::size_t number = 0;
  int rows = 0, cols = 0;
};

AttentionOutput attention_output(const Teacher& teacher) {
  const std::vector<TrackInfo> outputs = teacher.outputs();
  const auto found = std::ranges::find(outputs, "attention", &TrackInfo::kind);
  if (found == outputs.end() || found->shape.size() != 3)
    fail("the teacher ", teacher.options().name, " has no attention to draw");
  return {static_cast<std::size_t>(found - outputs.begin()), static_cast<int>(found->shape[1]),
          static_cast<int>(found->shape[2])};
}

}  // namespace

Image small_picture(const at::Tensor& pixels, int side) {
  const at::Tensor bytes = pixels.to(at::kCPU).contiguous();
  Image out(static_cast<int>(bytes.size(0)), static_cast<int>(bytes.size(1)));
  std::memcpy(out.rgb.data(), bytes.data_ptr<std::uint8_t>(), out.rgb.size());
  const int longest = std::max(out.height, out.width);
  if (longest <= side) return out;
  const auto scaled = [&](int length) { return std::max(1, length * side / longest); };
  return crop_resize(out, 0, 0, out.height, out.width, scaled(out.height), scaled(out.width), false);
}

std::vector<Image> attention_overlays(const TeacherOptions& options, const Evaluation& evaluation,
                                      std::span<const std::uint32_t> images, int side) {
  const Teacher teacher(options, attention_of_last_block());
  const AttentionOutput attention = attention_output(teacher);
  const Evaluation::Crops crops = evaluation.crops(images, teacher.image_size(), teacher.clean_crop());
  std::vector<Image> out(images.size());
  if (crops.images.empty()) return out;
  // The last micro-batch is filled up with copies of its last picture.
  const auto count = static_cast<std::int64_t>(crops.images.size());
  const std::int64_t micro_batch = teacher.options().micro_batch;
  const std::int64_t padding = (micro_batch - count % micro_batch) % micro_batch;
  const at::Tensor pictures =
      at::cat({crops.pictures, crops.pictures.slice(0, count - 1).expand({padding, -1, -1, -1})}).contiguous();
  const std::vector<std::vector<float>> values =
      teacher.run({pictures.data_ptr<std::uint8_t>(), static_cast<std::size_t>(pictures.numel())},
                  static_cast<std::uint32_t>(count + padding));
  const auto each = static_cast<std::size_t>(attention.rows) * static_cast<std::size_t>(attention.cols);
  for (std::int64_t i = 0; i < count; ++i) {
    const std::vector<float>& all = values.at(attention.number);
    std::vector<float> map(all.begin() + i * static_cast<std::int64_t>(each),
                           all.begin() + (i + 1) * static_cast<std::int64_t>(each));
    if (const float largest = std::ranges::max(map); largest > 0)
      for (float& value : map) value /= largest;
    const auto place = std::ranges::find(images, crops.images[static_cast<std::size_t>(i)]) - images.begin();
    out[static_cast<std::size_t>(place)] =
        overlay(small_picture(crops.pictures[i], side), map, attention.rows, attention.cols);
  }
  return out;
}

}  // namespace vitrine
