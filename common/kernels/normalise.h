// Converts images to network input.
#ifndef VITRINE_COMMON_KERNELS_NORMALISE_H_
#define VITRINE_COMMON_KERNELS_NORMALISE_H_

#include <ATen/core/Tensor.h>

#include <array>
#include <string>
#include <vector>

namespace vitrine {

/// (value / 255 - mean) / std per channel, in one pass. pictures: uint8 [N, H, W, 3], contiguous, on the CPU or, after
/// select_device("cuda"), a GPU. Returns FP32 [N, 3, H, W], channels-last, on the same device. Throws c10::Error for
/// any other input and for a std of 0.
at::Tensor normalise_pictures(at::Tensor pictures, std::array<float, 3> mean, std::array<float, 3> stddev);

/// A mean or std from a configuration. Throws Error naming `key` unless there are three values.
std::array<float, 3> rgb_triplet(const std::vector<double>& values, const std::string& key);

/// Mean or std as a configuration has it, in the fewest digits that identify the numbers exactly:
/// "[0.485, 0.456, 0.406]".
std::string colour_words(const std::vector<double>& colours);

}  // namespace vitrine

#endif  // VITRINE_COMMON_KERNELS_NORMALISE_H_
