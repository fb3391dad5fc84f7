// A ViT of 16 pixels and two classes, and the keys of a teacher of it.
#ifndef VITRINE_TESTS_TEACHER_SAMPLE_H_
#define VITRINE_TESTS_TEACHER_SAMPLE_H_

#include <ATen/ATen.h>

#include <cstddef>

#include "common/models/vit/vit.h"
#include "common/models/weights/load.h"
#include "common/models/weights/safetensors.h"
#include "common/teacher/teacher_options.h"
#include "tests/support/device.h"
#include "tests/support/files.h"

namespace vitrine::testing {

inline constexpr int kSide = 16, kClasses = 2;
inline constexpr std::size_t kView = kSide * kSide * 3;

inline VitOptions small_vit(int classes = kClasses) {
  VitOptions options;
  options.arch = "";
  options.image_size = kSide, options.patch = 8, options.dim = 16, options.depth = 2, options.heads = 2;
  options.classes = classes;
  return options;
}

struct Sample {
  TemporaryDirectory root;
  TeacherOptions options;
  TapOptions taps;

  Sample() {
    at::manual_seed(3);
    options.weights = (root / "small.safetensors").string();
    save_safetensors(options.weights, state_dict(*Vit(small_vit())));
    options.heads = 2;
    options.micro_batch = 4;
    options.device = test_device();
    taps.features = {-1, 0};
    taps.attention = {1};
  }
};

}  // namespace vitrine::testing

#endif  // VITRINE_TESTS_TEACHER_SAMPLE_H_
