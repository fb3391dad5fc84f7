// From pictures to a network's input.
#ifndef VITRINE_COMMON_KERNELS_NORMALISE_H_
#define VITRINE_COMMON_KERNELS_NORMALISE_H_

#include <ATen/core/Tensor.h>

#include <array>
#include <string>
#include <vector>

namespace vitrine {

/// (value / 255 - mean) / std for each colour, in one pass. pictures: uint8 [N, H, W, 3], contiguous, on the CPU
/// or, after select_device("cuda"), a GPU. Returns FP32 [N, 3, H, W] in channels-last memory on the same device. Any
/// other input throws c10::Error; std must not be 0.
at::Tensor normalise_pictures(at::Tensor pictures, std::array<float, 3> mean, std::array<float, 3> stddev);

/// Three numbers of a configuration as a mean or std. Throws Error that names `key` for any other count.
std::array<float, 3> rgb_triplet(const std::vector<double>& values, const std::string& key);

/// Means or std in as few digits as say exactly which numbers they are: "0.485 0.456 0.406".
std::string colour_words(const std::vector<double>& colours);

}  // namespace vitrine

#endif  // VITRINE_COMMON_KERNELS_NORMALISE_H_
