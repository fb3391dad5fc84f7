#include "common/plan/draw.h"

#include <algorithm>
#include <cmath>

namespace vitrine {
namespace {

// Python's round(): half to even.
std::int64_t rounded(double value) {
  return std::llrint(value);
}

// timm's rand_bbox: uniform centre, side proportional to the square root of the partner's share, clipped at the border.
struct Span {
  std::uint32_t begin, end;
};
Span random_span(std::uint32_t size, std::uint32_t cut, RandomStream& stream) {
  const auto centre = static_cast<std::int64_t>(stream.below(size));
  const std::int64_t half = cut / 2;
  return {static_cast<std::uint32_t>(std::max<std::int64_t>(centre - half, 0)),
          static_cast<std::uint32_t>(std::min<std::int64_t>(centre + half, size))};
}

}  // namespace

void draw_crop(const PlanOptions& options, RandomStream stream, std::uint32_t height, std::uint32_t width,
               Recipe& recipe) {
  const auto set = [&](std::int64_t top, std::int64_t left, std::int64_t h, std::int64_t w) {
    recipe.top = static_cast<std::int32_t>(top);
    recipe.left = static_cast<std::int32_t>(left);
    recipe.height = static_cast<std::int32_t>(h);
    recipe.width = static_cast<std::int32_t>(w);
  };
  const double area = static_cast<double>(height) * width;
  const double low = std::log(options.min_ratio), high = std::log(options.max_ratio);
  bool found = false;
  for (int attempt = 0; attempt < 10 && !found; ++attempt) {
    const double target = area * stream.uniform(options.min_area, options.max_area);
    const double ratio = std::exp(stream.uniform(low, high));
    const std::int64_t w = rounded(std::sqrt(target * ratio)), h = rounded(std::sqrt(target / ratio));
    if (w < 1 || w > width || h < 1 || h > height) continue;
    const auto top = static_cast<std::int64_t>(stream.below(static_cast<std::uint64_t>(height - h + 1)));
    const auto left = static_cast<std::int64_t>(stream.below(static_cast<std::uint64_t>(width - w + 1)));
    set(top, left, h, w);
    found = true;
  }
  if (!found) {
    const double ratio = static_cast<double>(width) / height;
    std::int64_t w = width, h = height;
    if (ratio < options.min_ratio)
      h = std::clamp<std::int64_t>(rounded(w / options.min_ratio), 1, height);
    else if (ratio > options.max_ratio)
      w = std::clamp<std::int64_t>(rounded(h * options.max_ratio), 1, width);
    set((height - h) / 2, (width - w) / 2, h, w);
  }
  recipe.flip = stream.uniform() < options.flip ? 1 : 0;
}

void draw_letterbox(const PlanOptions& options, RandomStream stream, std::uint32_t height, std::uint32_t width,
                    Recipe& recipe) {
  const std::uint64_t size = options.image_size, longer = std::max(height, width);
  const auto place = [&](std::uint32_t side, std::uint16_t& begin, std::uint16_t& end) {
    const std::uint64_t length = std::max<std::uint64_t>((2 * side * size + longer) / (2 * longer), 1);
    begin = static_cast<std::uint16_t>((size - length) / 2);
    end = static_cast<std::uint16_t>(begin + length);
  };
  place(height, recipe.box_top, recipe.box_bottom);
  place(width, recipe.box_left, recipe.box_right);
  recipe.top = recipe.left = 0;
  recipe.height = static_cast<std::int32_t>(height);
  recipe.width = static_cast<std::int32_t>(width);
  recipe.flip = stream.uniform() < options.flip ? 1 : 0;
}

void draw_mix(const PlanOptions& options, RandomStream stream, std::uint32_t position, Recipe& recipe) {
  recipe.mix = Mix::kNone;
  recipe.partner = recipe.lambda = recipe.box_top = recipe.box_left = recipe.box_bottom = recipe.box_right = 0;
  if (!(stream.uniform() < options.mix_probability)) return;
  bool cut = options.mixup_alpha == 0;
  if (options.mixup_alpha > 0 && options.cutmix_alpha > 0) cut = stream.uniform() < options.switch_probability;
  const double alpha = cut ? options.cutmix_alpha : options.mixup_alpha;
  double share = stream.beta(alpha, alpha);
  Span rows{0, 0}, columns{0, 0};
  if (cut) {
    const std::uint32_t size = options.image_size;
    const auto side = static_cast<std::uint32_t>(size * std::sqrt(1.0 - share));
    rows = random_span(size, side, stream);
    columns = random_span(size, side, stream);
    const double box = static_cast<double>(rows.end - rows.begin) * (columns.end - columns.begin);
    if (box == 0) return;
    share = 1.0 - box / (static_cast<double>(size) * size);
  }
  const std::int64_t lambda = rounded(share * 65536.0);
  // λ rounds to 1: mixing would change pixels but not the label.
  if (lambda > 65535) return;
  recipe.mix = cut ? Mix::kCutMix : Mix::kMixUp;
  recipe.partner = static_cast<std::uint16_t>(options.group - 1 - position);
  recipe.lambda = static_cast<std::uint16_t>(lambda);
  recipe.box_top = static_cast<std::uint16_t>(rows.begin);
  recipe.box_left = static_cast<std::uint16_t>(columns.begin);
  recipe.box_bottom = static_cast<std::uint16_t>(rows.end);
  recipe.box_right = static_cast<std::uint16_t>(columns.end);
}

}  // namespace vitrine
