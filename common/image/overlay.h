// Heat maps drawn over pictures, and pictures inside HTML pages.
#ifndef VITRINE_COMMON_IMAGE_OVERLAY_H_
#define VITRINE_COMMON_IMAGE_OVERLAY_H_

#include <array>
#include <cstdint>
#include <span>
#include <string>

#include "common/image/image.h"

namespace vitrine {

/// The colour of `value` in [0, 1] (clamped; NaN is 0): dark violet, red, orange, pale yellow. Perceptually uniform:
/// its lightness in OKLab (Ottosson 2020) is linear in `value`, so that it also reads in grey and for colour-blind
/// people.
std::array<std::uint8_t, 3> heat_colour(float value);

/// The picture with a map over it. map: [rows, cols], row by row, in [0, 1] as heat_colour() takes it; resized to the
/// picture bilinearly (pixel centres at halves, edges extended). Higher values cover more of the picture. Throws
/// std::logic_error for an empty picture or map, or a map of another size.
Image overlay(const Image& picture, std::span<const float> map, int rows, int cols);

/// "data:image/jpeg;base64,...": the picture as a JPEG, for the src of an <img>. quality: 1..100. Throws Error as
/// encode_jpeg() does.
std::string data_uri(const Image& image, int quality);

}  // namespace vitrine

#endif  // VITRINE_COMMON_IMAGE_OVERLAY_H_
