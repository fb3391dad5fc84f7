// Where a teacher looks.
#ifndef VITRINE_TOOLS_COMMANDS_REPORT_EVALUATE_ATTENTION_H_
#define VITRINE_TOOLS_COMMANDS_REPORT_EVALUATE_ATTENTION_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "common/image/image.h"
#include "common/teacher/teacher_options.h"
#include "train/evaluation/evaluate.h"

namespace vitrine {

/// For each of `images` (positions in the evaluation's index) the teacher's own clean crop with the attention of its
/// last block over it, the mean over heads, scaled to a maximum of 1; at most `side` pixels wide and high. An image
/// that cannot be read has an empty picture. Throws Error for a teacher without attention.
std::vector<Image> attention_overlays(const TeacherOptions& teacher, const Evaluation& evaluation,
                                      std::span<const std::uint32_t> images, int side);

/// A picture of uint8 [H, W, 3], at most `side` pixels wide and high.
Image small_picture(const at::Tensor& pixels, int side);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_REPORT_EVALUATE_ATTENTION_H_
