// A trained model as a file holds it: its record and its weights. For tools that use a student without a run's
// configuration.
#ifndef VITRINE_TRAIN_RUN_STORED_STUDENT_H_
#define VITRINE_TRAIN_RUN_STORED_STUDENT_H_

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "common/models/weights/safetensors.h"
#include "train/student/network.h"
#include "common/models/weights/weights_record.h"

namespace vitrine {

/// Which weights of a run to take.
enum class WeightsChoice : std::uint8_t {
  kAuto,  ///< of a run the best ones, else the last; of a checkpoint the average if it has one
  kBest,  ///< selected on the validation images
  kLast,  ///< after the last step, averaged if the run has an average
  kRaw    ///< of the last checkpoint, never averaged
};

struct StoredStudent {
  std::filesystem::path file;  ///< that the weights are in
  std::string sha256;          ///< of the file
  WeightsRecord record;
  Tensors weights;  ///< by the names of Network::module(), on the CPU
};

/// Reads the student of a run's directory or of a file: weights or a checkpoint in safetensors, or an archive with a
/// kRecordEntry (checkpoint.h), which is read as data; no code of it runs. Throws Error: kInput if there is no such
/// file, no record, or not the chosen weights (a file has kAuto, and a checkpoint kRaw too); kCorrupt for damage.
StoredStudent read_student(const std::filesystem::path& run_or_file, WeightsChoice choice = WeightsChoice::kAuto);

/// The network with the student's weights, in evaluation mode. Throws Error, naming the file, if they do not fit the
/// record.
Network network_of(const StoredStudent& student, at::Device device);

}  // namespace vitrine

#endif  // VITRINE_TRAIN_RUN_STORED_STUDENT_H_
