#include "common/image/transform.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <numbers>
#include <stdexcept>
#include <utility>
#include <vector>

#include "common/image/resample_rows.h"

namespace vitrine {
namespace {

// R. Keys, "Cubic convolution interpolation for digital image processing", 1981, with a = -0.5.
double cubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

double triangle(double x) {
  return std::max(1 - std::abs(x), 0.0);
}

double box(double x) {
  return x > -0.5 && x <= 0.5 ? 1 : 0;
}

double sinc(double x) {
  x *= std::numbers::pi;
  return x == 0 ? 1 : std::sin(x) / x;
}

double hamming(double x) {
  return std::abs(x) < 1 ? sinc(x) * (0.54 + 0.46 * std::cos(std::numbers::pi * x)) : 0;
}

double lanczos(double x) {
  return x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0;
}

struct Kernel {
  double (*weight)(double x);  // of an input at x outputs' distance
  double support;              // 0 beyond it
};

Kernel kernel_of(ResampleFilter filter) {
  switch (filter) {
    case ResampleFilter::kBox:
      return {box, 0.5};
    case ResampleFilter::kBilinear:
      return {triangle, 1};
    case ResampleFilter::kHamming:
      return {hamming, 1};
    case ResampleFilter::kBicubic:
      return {cubic, 2};
    case ResampleFilter::kLanczos:
      return {lanczos, 3};
  }
  throw std::logic_error("resample: unknown filter");
}

// For each output, the inputs it uses and their weights.
struct Weights {
  std::vector<ResampleTaps> taps;    // one per output
  std::vector<std::int32_t> values;  // `longest` per output
  int longest;
};

// Weights of outputs [begin, begin + outputs) when resizing `in` inputs to `out`.
Weights weights_for(int in, std::int64_t out, std::int64_t begin, int outputs, const Kernel& kernel) {
  const double scale = static_cast<double>(in) / static_cast<double>(out), stretch = std::max(scale, 1.0),
               support = kernel.support * stretch;
  Weights weights{{}, {}, static_cast<int>(std::ceil(support)) * 2 + 1};
  weights.taps.reserve(static_cast<std::size_t>(outputs));
  weights.values.resize(static_cast<std::size_t>(outputs) * static_cast<std::size_t>(weights.longest));
  std::vector<double> row(static_cast<std::size_t>(weights.longest));
  for (int o = 0; o < outputs; ++o) {
    const double centre = (static_cast<double>(begin + o) + 0.5) * scale;
    const int first = std::max(static_cast<int>(centre - support + 0.5), 0);
    const int count = std::min(static_cast<int>(centre + support + 0.5), in) - first;
    double sum = 0;
    for (int t = 0; t < count; ++t) {
      row[static_cast<std::size_t>(t)] = kernel.weight((t + first - centre + 0.5) / stretch);
      sum += row[static_cast<std::size_t>(t)];
    }
    std::int32_t* values =
        weights.values.data() + static_cast<std::size_t>(o) * static_cast<std::size_t>(weights.longest);
    for (int t = 0; t < count; ++t) {
      const double weight = row[static_cast<std::size_t>(t)] / sum * (1 << kResamplePrecision);
      values[t] = static_cast<std::int32_t>(weight < 0 ? weight - 0.5 : weight + 0.5);
    }
    weights.taps.push_back({first, count});
  }
  return weights;
}

// One axis: the inputs used, [first, first + count), the number of outputs that all of them would give, and which
// outputs are wanted.
struct Axis {
  int first, count;
  std::int64_t whole;
  std::int64_t begin;
  int outputs;
  bool is_plain() const { return count == whole; }  // no resampling needed
};

// Rows first, then columns; each pass rounds to bytes, and identity passes are skipped. Only rows that some output
// needs are computed, so work and memory follow the output, not the full resized image.
Image resample(const Image& image, const Axis& rows, const Axis& columns, ResampleFilter filter) {
  const Kernel kernel = kernel_of(filter);
  const ResampleLoops& loops = resample_loops();
  const std::size_t row_bytes = std::size_t{3} * static_cast<std::size_t>(columns.outputs);
  const Weights across = columns.is_plain()
                             ? Weights{}
                             : weights_for(columns.count, columns.whole, columns.begin, columns.outputs, kernel);
  const Weights down =
      rows.is_plain() ? Weights{} : weights_for(rows.count, rows.whole, rows.begin, rows.outputs, kernel);
  const int top = rows.is_plain() ? static_cast<int>(rows.begin) : down.taps.front().first;
  const int bottom = rows.is_plain() ? top + rows.outputs : down.taps.back().first + down.taps.back().count;
  Image wide(bottom - top, columns.outputs);
  for (int y = top; y < bottom; ++y) {
    const std::uint8_t* in = image.row(rows.first + y) + std::size_t{3} * static_cast<std::size_t>(columns.first);
    if (columns.is_plain()) {
      std::memcpy(wide.row(y - top), in + 3 * columns.begin, row_bytes);
    } else {
      loops.across(in, columns.count, across.taps.data(), across.values.data(), across.longest, columns.outputs,
                   wide.row(y - top));
    }
  }
  if (rows.is_plain()) return wide;
  Image out(rows.outputs, columns.outputs);
  for (int y = 0; y < rows.outputs; ++y) {
    const ResampleTaps taps = down.taps[static_cast<std::size_t>(y)];
    const std::int32_t* values =
        down.values.data() + static_cast<std::size_t>(y) * static_cast<std::size_t>(down.longest);
    loops.down(wide.row(taps.first - top), static_cast<std::ptrdiff_t>(row_bytes), values, taps.count, row_bytes,
               out.row(y));
  }
  return out;
}

}  // namespace

Image crop_resize(const Image& image, int top, int left, int height, int width, int out_height, int out_width,
                  bool flip) {
  if (top < 0 || left < 0 || height < 1 || width < 1 || height > image.height - top || width > image.width - left ||
      out_height < 1 || out_width < 1)
    throw std::logic_error("crop_resize: crop outside the image, or empty output");
  Image out = resample(image, {top, height, out_height, 0, out_height}, {left, width, out_width, 0, out_width},
                       ResampleFilter::kBicubic);
  if (flip) {
    for (int y = 0; y < out.height; ++y) {
      std::uint8_t* row = out.row(y);
      for (int a = 0, b = out.width - 1; a < b; ++a, --b) std::swap_ranges(row + 3 * a, row + 3 * a + 3, row + 3 * b);
    }
  }
  return out;
}

std::optional<ResampleFilter> resample_filter(std::string_view name) {
  constexpr std::array<std::pair<std::string_view, ResampleFilter>, 5> kNames{{{"box", ResampleFilter::kBox},
                                                                               {"bilinear", ResampleFilter::kBilinear},
                                                                               {"hamming", ResampleFilter::kHamming},
                                                                               {"bicubic", ResampleFilter::kBicubic},
                                                                               {"lanczos", ResampleFilter::kLanczos}}};
  for (const auto& [known, filter] : kNames)
    if (known == name) return filter;
  return std::nullopt;
}

Image centre_view(const Image& image, int size, const CleanCrop& crop) {
  if (size < 1 || !(crop.crop_pct > 0 && crop.crop_pct <= 1))
    throw std::logic_error("centre_view: size below 1 or crop_pct outside (0, 1]");
  const int shorter = static_cast<int>(std::floor(size / crop.crop_pct));
  const bool tall = image.height > image.width;
  const std::int64_t longer =
      crop.mode == CropMode::kSquash
          ? shorter
          : std::int64_t{shorter} * (tall ? image.height : image.width) / (tall ? image.width : image.height);
  const std::int64_t height = tall ? longer : shorter, width = tall ? shorter : longer;
  // Rounds half to even, as Python's round().
  const auto begin = [size](std::int64_t side) {
    return static_cast<std::int64_t>(std::nearbyint(static_cast<double>(side - size) / 2));
  };
  return resample(image, {0, image.height, height, begin(height), size}, {0, image.width, width, begin(width), size},
                  crop.filter);
}

}  // namespace vitrine
