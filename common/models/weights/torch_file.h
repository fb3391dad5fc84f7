// Reads the tensors of files that torch.save wrote (.pth, .pt, .bin) without running anything from them: the pickle is
// read as data (pickle.h), and only tensors, containers and a list of harmless classes may occur in it.
#ifndef VITRINE_COMMON_MODELS_WEIGHTS_TORCH_FILE_H_
#define VITRINE_COMMON_MODELS_WEIGHTS_TORCH_FILE_H_

#include <string>
#include <vector>

#include "common/models/weights/stored_tensor.h"

namespace vitrine {

/// The state dict of a checkpoint; of a TorchScript module its parameters and buffers, by their dotted names.
///
/// A dictionary without tensors of dotted names is a training checkpoint: the first of these keys that leads to tensors
/// is taken, again and again, and a note says which: state_dict_ema, model_ema, ema_state_dict, ema_model, ema,
/// target_encoder, teacher, state_dict, model_state_dict, model_state, model, module, net, student, encoder, weights.
/// An average over training (EMA) so comes before the weights that it averages.
///
/// Strides, offsets and shared storages are kept. Throws Error that names `path`: kCorrupt for damage; kInput for a
/// class that is not known to be harmless (by name), for a file without a state dict, and if tensors that repeat values
/// would need more than eight times the file's bytes.
StoredTensors read_torch_file(const SharedFile& file, const std::string& path, std::vector<std::string>& notes);

}  // namespace vitrine

#endif  // VITRINE_COMMON_MODELS_WEIGHTS_TORCH_FILE_H_
