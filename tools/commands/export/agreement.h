// Compares what an exported file computes with the student that it was made from.
#ifndef VITRINE_TOOLS_COMMANDS_EXPORT_AGREEMENT_H_
#define VITRINE_TOOLS_COMMANDS_EXPORT_AGREEMENT_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <string>
#include <vector>

#include "tools/commands/export/formats.h"
#include "train/run/stored_student.h"

namespace vitrine {

/// The size of one batch of random pictures.
struct PictureBatch {
  std::int64_t pictures = 1, size = 224;
};

struct AgreementResult {
  double difference = 0;  ///< the largest of all logits
  double largest = 0;     ///< absolute value of the student's logits
  double limit = 0;       ///< kMaxDifference, times `largest` where it is above 1

  std::string limit_words() const;  ///< "0.0012 (0.0001 of the largest logit, 12)", "0.0001 (absolute: ...)"
};

/// Relative to the largest logit: FP32 networks whose convolutions sum in another order differ by some 1e-6 of it.
/// Absolute where all logits are below 1, as rounding errors within the network do not shrink with them.
inline constexpr double kMaxDifference = 1e-4;

/// Runs both in FP32 on random pictures. Throws Error: kInput, naming the student's file, if the student's own logits
/// are not finite; kInternal if the shapes differ, or the difference exceeds the limit or is not a number.
AgreementResult check_agreement(const StoredStudent& student, Network& network, const Forward& exported,
                                const std::vector<PictureBatch>& batches);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_EXPORT_AGREEMENT_H_
