#include "common/models/vit/positions.h"

#include <ATen/ATen.h>

#include <cmath>
#include <numbers>

namespace vitrine {
namespace {

/// The angles of both axes of a grid, [side · side, 2 · bands]: the row's first, unless `xy`. coordinate, band: [side],
/// [bands], FP32.
at::Tensor grid_angles(const at::Tensor& coordinate, const at::Tensor& band, bool xy) {
  const std::int64_t side = coordinate.size(0);
  const at::Tensor angle = coordinate.unsqueeze(1) * band;
  const at::Tensor row = angle.unsqueeze(1).expand({side, side, -1}),
                   column = angle.unsqueeze(0).expand({side, side, -1});
  return at::cat({xy ? column : row, xy ? row : column}, 2).flatten(0, 1);
}

at::Tensor rope_angles(const VitStructure& s) {
  const int side = s.grid(), bands = s.head_dim / 4;
  const at::Tensor exponent = at::arange(bands, at::kFloat);
  const at::Tensor base = at::scalar_tensor(s.rope_temperature, at::kFloat);
  if (s.rope == VitRope::kDinov3) {
    const at::Tensor coordinate = 2 * ((at::arange(side, at::kFloat) + 0.5) / side) - 1;
    return grid_angles(2 * std::numbers::pi * coordinate, at::pow(base, 2 * exponent / (s.head_dim / 2)).reciprocal(),
                       /*xy=*/false);
  }
  at::Tensor position = at::arange(side, at::kFloat) + s.rope_offset;
  if (s.rope_reference_grid > 0) position = position / side * s.rope_reference_grid;
  return grid_angles(position, at::pow(base, exponent / bands).reciprocal(), s.rope_xy);
}

at::Tensor relative_index(int side) {
  const std::int64_t patches = std::int64_t{side} * side, offsets = 2 * std::int64_t{side} - 1;
  const at::Tensor at = at::arange(patches), row = at.floor_divide(side), column = at.remainder(side);
  const at::Tensor rows = row.unsqueeze(1) - row + (side - 1), columns = column.unsqueeze(1) - column + (side - 1);
  at::Tensor index = at::empty({patches + 1, patches + 1}, at::kLong);
  const std::int64_t first_extra = offsets * offsets;
  index.slice(0, 1).slice(1, 1).copy_(rows * offsets + columns);
  index.select(0, 0).fill_(first_extra);      // class token to patch
  index.select(1, 0).fill_(first_extra + 1);  // patch to class token
  index[0][0].fill_(first_extra + 2);
  return index.flatten();
}

}  // namespace

VitPositionTables position_tables(const VitStructure& s) {
  VitPositionTables out;
  out.prefix_tokens = s.prefix_tokens();
  out.half = s.rope_half;
  if (s.rope != VitRope::kNone) {
    at::Tensor angles = rope_angles(s);
    angles = s.rope_half ? at::cat({angles, angles}, 1) : angles.repeat_interleave(2, 1);
    out.sin = angles.sin();
    out.cos = angles.cos();
  }
  if (s.relative_positions) out.relative_index = relative_index(s.grid());
  return out;
}

at::Tensor rotate(const at::Tensor& x, const VitPositionTables& tables) {
  if (!tables.sin.defined()) return x;
  const std::int64_t prefix = tables.prefix_tokens, patches = x.size(2) - prefix;
  const at::Tensor patch = x.narrow(2, prefix, patches).to(at::kFloat);
  at::Tensor turned;
  if (tables.half) {
    const std::int64_t half = x.size(3) / 2;
    turned = at::cat({-patch.narrow(3, half, half), patch.narrow(3, 0, half)}, 3);
  } else {
    const at::Tensor pairs = patch.unflatten(3, {-1, 2});
    turned = at::stack({-pairs.select(4, 1), pairs.select(4, 0)}, 4).flatten(3);
  }
  const at::Tensor rotated = patch * tables.cos + turned * tables.sin;
  return at::cat({x.narrow(2, 0, prefix), rotated.to(x.scalar_type())}, 2);
}

at::Tensor relative_bias(const at::Tensor& table, const VitPositionTables& tables) {
  const auto tokens =
      static_cast<std::int64_t>(std::lround(std::sqrt(static_cast<double>(tables.relative_index.size(0)))));
  return table.index_select(0, tables.relative_index).view({tokens, tokens, -1}).permute({2, 0, 1}).unsqueeze(0);
}

}  // namespace vitrine
