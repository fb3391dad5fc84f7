#include "common/models/vit/resample.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "common/models/tensor_names.h"
#include "common/models/vit/positions.h"

namespace vitrine {
namespace {

/// The offsets -d_n ... -d_1, 0, d_1 ... d_n of a table with 2n + 1 rows, d_i = 1 + q + ... + q^(i-1), with q such that
/// they span `wanted` offsets.
std::vector<float> geometric_offsets(std::int64_t rows, std::int64_t wanted) {
  const std::int64_t reach = rows / 2;
  double low = 1.01, high = 1.5, q = low;
  while (high - low > 1e-6) {
    q = (low + high) / 2;
    const double sum = (1 - std::pow(q, static_cast<double>(reach))) / (1 - q);
    (sum > static_cast<double>(wanted / 2) ? high : low) = q;
  }
  std::vector<float> out(static_cast<std::size_t>(rows), 0);
  double distance = 1;
  for (std::int64_t i = 0; i < reach; ++i) {
    out[static_cast<std::size_t>(reach + 1 + i)] = static_cast<float>(distance);
    out[static_cast<std::size_t>(reach - 1 - i)] = -static_cast<float>(distance);
    distance += std::pow(q, static_cast<double>(i + 1));
  }
  return out;
}

/// [wanted, rows]: interpolates linearly from values at geometric_offsets() to the integers -wanted/2 ... wanted/2.
at::Tensor interpolation_matrix(std::int64_t rows, std::int64_t wanted) {
  const std::vector<float> from = geometric_offsets(rows, wanted);
  at::Tensor out = at::zeros({wanted, rows});
  auto weights = out.accessor<float, 2>();
  for (std::int64_t i = 0; i < wanted; ++i) {
    const auto to = static_cast<float>(i - wanted / 2);
    const auto above = std::lower_bound(from.begin(), from.end(), to) - from.begin();
    const std::int64_t right = std::min<std::int64_t>(above, rows - 1), left = std::max<std::int64_t>(right - 1, 0);
    const float past = std::max(to - from[static_cast<std::size_t>(left)], 0.0f),
                left_over = std::max(from[static_cast<std::size_t>(right)] - to, 0.0f);
    const bool exact = past == 0 && left_over == 0;
    weights[i][left] += exact ? 0.5f : left_over / (past + left_over);
    weights[i][right] += exact ? 0.5f : past / (past + left_over);
  }
  return out;
}

/// 0 for what is no square's number.
int grid_side(std::int64_t square) {
  return square > 0 ? static_cast<int>(std::lround(std::sqrt(static_cast<double>(square)))) : 0;
}

/// Rows of pos_embed before the patches'.
int own_prefix(const VitStructure& s) {
  return s.positions == VitPositions::kAllTokens ? s.prefix_tokens() : 0;
}

enum class Part { kNone, kPositions, kPatch, kRelativeTable };

/// Which of the resampled tensors this is, if its shape does not match the structure's size.
Part part_to_resample(const std::string& name, const at::Tensor& tensor, const VitStructure& s) {
  if (name == "pos_embed" && tensor.dim() == 3) {
    const std::int64_t patches = tensor.size(1) - own_prefix(s);
    return patches != s.patches() && patches > 0 && is_square(patches) ? Part::kPositions : Part::kNone;
  }
  if (name == "patch_embed.proj.weight" && tensor.dim() == 4)
    return tensor.size(2) != s.patch && tensor.size(2) == tensor.size(3) ? Part::kPatch : Part::kNone;
  if (name.ends_with("relative_position_bias_table") && tensor.dim() == 2) {
    const std::int64_t offsets = tensor.size(0) - 3;
    const bool other = tensor.size(0) != relative_table_rows(s.grid());
    return other && offsets > 0 && is_square(offsets) ? Part::kRelativeTable : Part::kNone;
  }
  return Part::kNone;
}

}  // namespace

at::Tensor resample_positions(const at::Tensor& pos_embed, int prefix, int grid) {
  const at::Tensor all = pos_embed.to(at::kFloat);
  const std::int64_t dim = all.size(2), patches = all.size(1) - prefix;
  const auto side = static_cast<std::int64_t>(std::lround(std::sqrt(static_cast<double>(patches))));
  const at::Tensor map = all.narrow(1, prefix, patches).reshape({1, side, side, dim}).permute({0, 3, 1, 2});
  const at::Tensor resized = at::_upsample_bicubic2d_aa(map, {grid, grid}, /*align_corners=*/false);
  return at::cat({all.narrow(1, 0, prefix), resized.permute({0, 2, 3, 1}).reshape({1, -1, dim})}, 1);
}

at::Tensor resample_patch(const at::Tensor& weight, int patch) {
  const std::int64_t old = weight.size(2), pixels = old * old;
  const at::Tensor basis = at::eye(pixels).reshape({pixels, 1, old, old});
  const at::Tensor resized = at::_upsample_bicubic2d_aa(basis, {patch, patch}, /*align_corners=*/false);
  const at::Tensor inverse = at::linalg_pinv(resized.reshape({pixels, -1}).t().contiguous());
  return at::matmul(weight.to(at::kFloat).flatten(2), inverse).reshape({weight.size(0), weight.size(1), patch, patch});
}

at::Tensor resample_relative_table(const at::Tensor& table, int grid) {
  const at::Tensor all = table.to(at::kFloat);
  const std::int64_t heads = all.size(1), offsets = all.size(0) - 3, wanted = 2 * std::int64_t{grid} - 1;
  const auto side = static_cast<std::int64_t>(std::lround(std::sqrt(static_cast<double>(offsets))));
  const at::Tensor matrix = interpolation_matrix(side, wanted);
  const at::Tensor maps = all.narrow(0, 0, offsets).t().reshape({heads, side, side});
  const at::Tensor resized = at::matmul(at::matmul(matrix, maps), matrix.t());
  return at::cat({resized.reshape({heads, -1}).t(), all.narrow(0, offsets, 3)}, 0).contiguous();
}

Tensors resampled(const Tensors& weights, const VitStructure& s) {
  Tensors out = weights;
  for (auto& [name, tensor] : out) switch (part_to_resample(name, tensor, s)) {
      case Part::kNone:
        break;
      case Part::kPositions:
        tensor = resample_positions(tensor, own_prefix(s), s.grid());
        break;
      case Part::kPatch:
        tensor = resample_patch(tensor, s.patch);
        break;
      case Part::kRelativeTable:
        tensor = resample_relative_table(tensor, s.grid());
        break;
    }
  return out;
}

std::optional<TrainedSize> size_before_resampling(const Tensors& weights, const VitStructure& s) {
  int grid = 0, patch = 0;
  bool changes = false;
  for (const auto& [name, tensor] : weights) {
    changes = changes || part_to_resample(name, tensor, s) != Part::kNone;
    if (name == "pos_embed" && tensor.dim() == 3)
      grid = grid_side(tensor.size(1) - own_prefix(s));
    else if (name == "patch_embed.proj.weight" && tensor.dim() == 4)
      patch = static_cast<int>(tensor.size(2));
    else if (grid == 0 && name.ends_with("relative_position_bias_table"))
      grid = (grid_side(tensor.size(0) - 3) + 1) / 2;
  }
  return changes ? std::optional(TrainedSize{grid * patch, patch}) : std::nullopt;
}

}  // namespace vitrine
