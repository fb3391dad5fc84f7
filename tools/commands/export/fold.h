// A ResNet as an ONNX graph, and the evaluation of such a graph.
#ifndef VITRINE_TOOLS_COMMANDS_EXPORT_FOLD_H_
#define VITRINE_TOOLS_COMMANDS_EXPORT_FOLD_H_

#include <ATen/core/Tensor.h>

#include "tools/commands/export/formats.h"
#include "tools/commands/export/onnx/model.h"

namespace vitrine {

/// The student's graph, with each BatchNorm folded into the convolution before it (common/models/inference/fold.h).
OnnxModel folded_model(const StoredStudent& student, const GraphOptions& options);

/// What the graph computes, by the definitions of its operators, with ATen on the CPU. `x`: as model.input. Throws
/// Error, kCorrupt, for a graph that folded_model() does not make: an operator, or a name that nothing has.
at::Tensor evaluate(const OnnxModel& model, const at::Tensor& x);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_EXPORT_FOLD_H_
