#include "common/kernels/normalise.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/library.h>

#include <charconv>

#include "common/base/error.h"
#include "common/kernels/normalise_element.h"

namespace vitrine {
namespace {

/// There are only 768 inputs (byte and channel): computes all results first, then looks them up.
at::Tensor normalise_on_cpu(const at::Tensor& pictures, c10::ArrayRef<double> mean, c10::ArrayRef<double> stddev) {
  std::array<std::array<float, 256>, 3> table;
  for (std::size_t colour = 0; colour < 3; ++colour)
    for (std::size_t value = 0; value < 256; ++value)
      table[colour][value] = normalise_element(static_cast<unsigned char>(value), static_cast<float>(mean[colour]),
                                               static_cast<float>(stddev[colour]));
  // Channels-last memory has the same order as the input bytes.
  at::Tensor out =
      at::empty({pictures.size(0), 3, pictures.size(1), pictures.size(2)}, at::kFloat, at::MemoryFormat::ChannelsLast);
  const std::uint8_t* source = pictures.const_data_ptr<std::uint8_t>();
  float* target = out.data_ptr<float>();
  at::parallel_for(0, pictures.numel() / 3, 1 << 14, [&](int64_t begin, int64_t end) {
    for (int64_t i = 3 * begin; i < 3 * end; i += 3) {
      target[i] = table[0][source[i]];
      target[i + 1] = table[1][source[i + 1]];
      target[i + 2] = table[2][source[i + 2]];
    }
  });
  return out;
}

}  // namespace

TORCH_LIBRARY(vitrine, m) {
  m.def("normalise_pictures(Tensor pictures, float[] mean, float[] std) -> Tensor");
}
TORCH_LIBRARY_IMPL(vitrine, CPU, m) {
  m.impl("normalise_pictures", normalise_on_cpu);
}

at::Tensor normalise_pictures(at::Tensor pictures, std::array<float, 3> mean, std::array<float, 3> stddev) {
  TORCH_CHECK(
      pictures.scalar_type() == at::kByte && pictures.dim() == 4 && pictures.size(3) == 3 && pictures.is_contiguous(),
      "normalise_pictures takes contiguous uint8 [N, H, W, 3], not ", pictures.scalar_type(), " ", pictures.sizes());
  for (const float d : stddev) TORCH_CHECK(d != 0, "normalise_pictures was given a std of 0");
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("vitrine::normalise_pictures", "")
                             .typed<at::Tensor(const at::Tensor&, c10::ArrayRef<double>, c10::ArrayRef<double>)>();
  const std::array<double, 3> wide_mean{mean[0], mean[1], mean[2]};
  const std::array<double, 3> wide_stddev{stddev[0], stddev[1], stddev[2]};
  return op.call(pictures, wide_mean, wide_stddev);
}

std::array<float, 3> rgb_triplet(const std::vector<double>& values, const std::string& key) {
  if (values.size() != 3) fail(key, " has ", values.size(), " numbers; expected three, for red, green and blue");
  return {static_cast<float>(values[0]), static_cast<float>(values[1]), static_cast<float>(values[2])};
}

std::string colour_words(const std::vector<double>& colours) {
  std::string out;
  for (const double colour : colours) {
    std::array<char, 32> digits;
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), colour).ptr;
    out += out.empty() ? "[" : ", ";
    out.append(digits.data(), end);
  }
  return out.empty() ? "[]" : out + "]";
}

}  // namespace vitrine
