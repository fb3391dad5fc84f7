// Light augmentation applied only to the student's input, after the shared view: colour jitter and random erasing,
// equal to torchvision's ColorJitter and RandomErasing on uint8 pixels.
#ifndef VITRINE_COMMON_IMAGE_AUGMENT_H_
#define VITRINE_COMMON_IMAGE_AUGMENT_H_

#include <array>
#include <cstdint>
#include <span>

#include "common/config/fields.h"

namespace vitrine {

struct AugmentOptions {
  double brightness = 0.4;          ///< factor from [max(0, 1 - b), 1 + b]
  double contrast = 0.4;            ///< likewise, blended with the mean of the grey image
  double saturation = 0.4;          ///< likewise, blended with the grey image
  double hue = 0.1;                 ///< hue shift from [-h, h], as a fraction of the colour circle; h <= 0.5
  double erase_probability = 0.25;  ///< probability of erasing one rectangle per view
  double erase_min_area = 0.02;     ///< as a share of the view's area
  double erase_max_area = 0.33;
  double erase_min_ratio = 0.3;  ///< height / width, log-uniform
  double erase_max_ratio = 3.3;
  /// Colour of erased pixels: ImageNet's mean, whatever the student's own is.
  std::array<std::uint8_t, 3> fill{124, 116, 104};

  void fields(Fields& f);
};

/// Augments one picture [size, size, 3] in place. A pure function of its arguments; (seed, epoch, pass, position)
/// select the random draws. A step with strength 0 is skipped but still consumes its draws, so that one setting does
/// not affect another. Thread-safe.
void augment(std::span<std::uint8_t> picture, int size, const AugmentOptions& options, std::uint64_t seed,
             std::uint32_t epoch, std::uint32_t pass, std::uint64_t position);

// The steps of the jitter, on a picture [pixels, 3]: torchvision's functional ops of the same names on a uint8 tensor
// (truncating, not rounding). factor >= 0, 1 is the identity; turn in [-0.5, 0.5] of the colour circle, 0 is the
// identity.
void adjust_brightness(std::span<std::uint8_t> picture, float factor);
void adjust_contrast(std::span<std::uint8_t> picture, float factor);
void adjust_saturation(std::span<std::uint8_t> picture, float factor);
void adjust_hue(std::span<std::uint8_t> picture, float turn);

}  // namespace vitrine

#endif  // VITRINE_COMMON_IMAGE_AUGMENT_H_
