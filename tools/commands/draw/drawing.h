// Synthetic pictures for the demo and for tests: a small data set without download that a small ViT learns within
// minutes, but not trivially. A picture shows two objects; its class is (species of the larger, species of the
// smaller). A species has a hue (each object deviates from it by a normal angle of 0.45 rad), a shape and a texture
// (each object has its species' own with probability 0.75, else a random one). Distractors: 1/f background, clutter,
// noise, and in every second picture a bar that occludes a part. Hue and size are cues because a ViT trained from
// scratch stays at chance very long on shape and texture alone.
#ifndef VITRINE_TOOLS_COMMANDS_DRAW_DRAWING_H_
#define VITRINE_TOOLS_COMMANDS_DRAW_DRAWING_H_

#include <cstdint>
#include <string>
#include <vector>

#include "common/image/image.h"

namespace vitrine {

struct DrawingOptions {
  int size = 96;    ///< sides are drawn from size · 5/6 to size · 4/3; at least 24
  int species = 4;  ///< 2 to 15. Beyond 6, species share shapes or textures, and hues deviate less
  int classes = 0;  ///< number of classes, the first of the species²; 0: all
  std::uint64_t seed = 0;
};

/// The class of picture `number`. Classes alternate: as many consecutive numbers as there are classes have each once.
int drawing_label(const DrawingOptions& options, std::uint64_t number);

/// One word per class, in the order of the labels and of the alphabet: "bori_dapu" is a large bori beside a small dapu.
std::vector<std::string> drawing_classes(const DrawingOptions& options);

/// Picture `number`, a pure function of the arguments. Thread-safe.
Image draw_picture(const DrawingOptions& options, std::uint64_t number);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_DRAW_DRAWING_H_
