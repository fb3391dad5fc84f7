#include "common/kernels/pooling.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdint>

namespace vitrine {
namespace {

struct PoolShape {
  std::int64_t height, width, channels, out_height, out_width;
};

// One row of the output. Floating-point numbers that are not negative have the order of their bits as integers, for
// which a compiler's baseline has vector instructions in 16 bits as well.
template <class Bits>
void pool_row(const Bits* image, std::int64_t y, const PoolShape& shape, Bits* out) {
  const std::int64_t first_y = std::max<std::int64_t>(2 * y - 1, 0), last_y = std::min(2 * y + 1, shape.height - 1);
  for (std::int64_t x = 0; x < shape.out_width; ++x, out += shape.channels) {
    const std::int64_t first_x = std::max<std::int64_t>(2 * x - 1, 0), last_x = std::min(2 * x + 1, shape.width - 1);
    std::fill_n(out, shape.channels, Bits{0});
    for (std::int64_t from_y = first_y; from_y <= last_y; ++from_y)
      for (std::int64_t from_x = first_x; from_x <= last_x; ++from_x) {
        const Bits* from = image + (from_y * shape.width + from_x) * shape.channels;
        for (std::int64_t c = 0; c < shape.channels; ++c) out[c] = std::max(out[c], from[c]);
      }
  }
}

template <class Bits>
void pool(const at::Tensor& x, const at::Tensor& out) {
  const PoolShape shape{x.size(2), x.size(3), x.size(1), out.size(2), out.size(3)};
  const auto* from = static_cast<const Bits*>(x.const_data_ptr());
  auto* to = static_cast<Bits*>(out.mutable_data_ptr());
  at::parallel_for(0, x.size(0) * shape.out_height, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row)
      pool_row(from + row / shape.out_height * shape.height * shape.width * shape.channels, row % shape.out_height,
               shape, to + row * shape.out_width * shape.channels);
  });
}

void check(const at::Tensor& x) {
  TORCH_CHECK(x.dim() == 4 && x.is_cpu() && x.is_contiguous(at::MemoryFormat::ChannelsLast) &&
                  (x.element_size() == 4 || x.element_size() == 2) && x.is_floating_point(),
              "pooling takes [N, C, H, W] in channels-last memory on the CPU, not ", x.sizes(), ' ', x.scalar_type());
}

template <class Number>
void add_positions(const at::Tensor& x, const at::Tensor& out) {
  const std::int64_t channels = x.size(1), positions = x.size(2) * x.size(3);
  const auto* from = x.const_data_ptr<Number>();
  auto* to = out.mutable_data_ptr<float>();
  at::parallel_for(0, x.size(0), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t image = begin; image < end; ++image)
      for (std::int64_t position = 0; position < positions; ++position) {
        const Number* row = from + (image * positions + position) * channels;
        float* sums = to + image * channels;
        for (std::int64_t c = 0; c < channels; ++c) sums[c] += static_cast<float>(row[c]);
      }
  });
}

}  // namespace

at::Tensor max_pool_of_relu(const at::Tensor& x) {
  check(x);
  const at::Tensor out = at::empty({x.size(0), x.size(1), (x.size(2) + 1) / 2, (x.size(3) + 1) / 2}, x.options(),
                                   at::MemoryFormat::ChannelsLast);
  if (x.element_size() == 4)
    pool<std::int32_t>(x, out);
  else
    pool<std::int16_t>(x, out);
  return out;
}

at::Tensor mean_over_positions(const at::Tensor& x) {
  check(x);
  const at::Tensor out = at::zeros({x.size(0), x.size(1)}, x.options().dtype(at::kFloat));
  if (x.scalar_type() == at::kBFloat16)
    add_positions<at::BFloat16>(x, out);
  else if (x.scalar_type() == at::kHalf)
    add_positions<at::Half>(x, out);
  else
    add_positions<float>(x, out);
  return out / static_cast<double>(x.size(2) * x.size(3));
}

}  // namespace vitrine
