// The student's own light augmentation, after the view that it shares with the teacher: colour jitter and random
// erasing, as torchvision has them (ColorJitter, RandomErasing) on uint8 pixels.
#ifndef VITRINE_COMMON_IMAGE_AUGMENT_H_
#define VITRINE_COMMON_IMAGE_AUGMENT_H_

#include <array>
#include <cstdint>
#include <span>

#include "common/config/fields.h"

namespace vitrine {

struct AugmentOptions {
  double brightness = 0.4;          ///< factor from [max(0, 1 - b), 1 + b]
  double contrast = 0.4;            ///< likewise, towards the mean of the grey picture
  double saturation = 0.4;          ///< likewise, towards the grey picture
  double hue = 0.1;                 ///< turn of the hue from [-h, h], h <= 0.5 of a circle
  double erase_probability = 0.25;  ///< of one erased rectangle in a view
  double erase_min_area = 0.02;     ///< share of the view's area
  double erase_max_area = 0.33;
  double erase_min_ratio = 0.3;  ///< height / width, log-uniform
  double erase_max_ratio = 3.3;
  std::array<std::uint8_t, 3> fill{124, 116,
                                   104};  ///< the erased pixels' colour: the normalisation's mean, so zero after it

  void fields(Fields& f);
};

/// Augments one picture [size, size, 3] in place. A pure function of its arguments: (seed, epoch, pass, position) say
/// which draw. Strength 0 leaves a step out without using fewer draws, so that one setting does not move another. Any
/// thread.
void augment(std::span<std::uint8_t> picture, int size, const AugmentOptions& options, std::uint64_t seed,
             std::uint32_t epoch, std::uint32_t pass, std::uint64_t position);

// The steps of the jitter, torchvision's functional ones of the same names on a uint8 tensor (which truncate, not
// round), on a picture [pixels, 3]. factor >= 0, 1 changes nothing; turn in [-0.5, 0.5] of a circle, 0 changes nothing.
void adjust_brightness(std::span<std::uint8_t> picture, float factor);
void adjust_contrast(std::span<std::uint8_t> picture, float factor);
void adjust_saturation(std::span<std::uint8_t> picture, float factor);
void adjust_hue(std::span<std::uint8_t> picture, float turn);

}  // namespace vitrine

#endif  // VITRINE_COMMON_IMAGE_AUGMENT_H_
