#include "train/data/prefetch.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace vitrine {

std::uint64_t group_batch_bytes(const TargetSource& source, int size) {
  const auto values = [](const std::vector<std::int64_t>& shape) {
    std::uint64_t product = shape.empty() ? 0 : 1;
    for (const std::int64_t axis : shape) product *= static_cast<std::uint64_t>(axis);
    return product;
  };
  const auto picture = [](std::uint64_t side) { return 3 * side * side; };
  const TargetShapes shapes = source.shapes();
  std::uint64_t floats = values(shapes.logits) + values(shapes.attention) + values(shapes.embedding);
  for (const auto& shape : shapes.features) floats += values(shape);
  const std::uint64_t pictures = picture(static_cast<std::uint64_t>(size)) +
                                 (source.needs_pictures() ? picture(source.plan().options().image_size) : 0);
  return source.plan().options().group * (pictures + 4 * floats);
}

std::uint32_t groups_ahead(const StreamOptions& options, const TargetSource& source,
                           const std::optional<std::uint64_t>& available) {
  if (!available) return options.ahead;
  const std::uint64_t fit = *available / 4 / std::max<std::uint64_t>(1, group_batch_bytes(source, options.size));
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(options.ahead, std::max<std::uint64_t>(2, fit)));
}

}  // namespace vitrine
