#include "train/data/prefetch.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace vitrine {
namespace {

std::uint64_t square_picture_bytes(std::uint64_t side) {
  return 3 * side * side;
}

}  // namespace

std::uint64_t batch_view_bytes(const TargetShapes& shapes, int size) {
  const auto values = [](const std::vector<std::int64_t>& shape) {
    std::uint64_t product = shape.empty() ? 0 : 1;
    for (const std::int64_t axis : shape) product *= static_cast<std::uint64_t>(axis);
    return product;
  };
  std::uint64_t floats = values(shapes.logits) + values(shapes.attention) + values(shapes.embedding);
  for (const auto& shape : shapes.features) floats += values(shape);
  return square_picture_bytes(static_cast<std::uint64_t>(size)) + 4 * floats;
}

std::uint64_t group_batch_bytes(const TargetSource& source, int size) {
  const PlanOptions& plan = source.plan().options();
  const bool teachers_too = source.needs_pictures() && static_cast<std::uint32_t>(size) != plan.image_size;
  return plan.group *
         (batch_view_bytes(source.shapes(), size) + (teachers_too ? square_picture_bytes(plan.image_size) : 0));
}

std::uint32_t groups_ahead(const StreamOptions& options, const TargetSource& source,
                           const std::optional<std::uint64_t>& available) {
  if (!available) return options.ahead;
  const std::uint64_t fit = *available / 4 / std::max<std::uint64_t>(1, group_batch_bytes(source, options.size));
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(options.ahead, std::max<std::uint64_t>(2, fit)));
}

}  // namespace vitrine
