// What is trained: a network, the moving average of its weights, and BatchNorm's modes. Whoever trains or judges it
// hands it uint8 pictures.
#ifndef VITRINE_TRAIN_STUDENT_STUDENT_H_
#define VITRINE_TRAIN_STUDENT_STUDENT_H_

#include <torch/torch.h>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/models/weights/safetensors.h"
#include "common/plan/image_index.h"
#include "train/student/model_options.h"
#include "train/student/network.h"
#include "train/student/weight_ema.h"
#include "train/student/weights_record.h"

namespace vitrine {

/// What a student is made from: a part of the run's options.
struct StudentOptions {
  ModelOptions model;
  EmaOptions ema;
  int size = 224;                                      ///< side of the square that it sees, in pixels
  std::vector<double> mean = {0.485, 0.456, 0.406};    ///< subtracted from each colour in [0, 1]
  std::vector<double> stddev = {0.229, 0.224, 0.225};  ///< each colour is divided by it
  double crop_pct = 0.9;                               ///< that it is judged with, for its record
  Decoding decoding;                                   ///< of its pictures, for its record
  std::string precision = "fp32";                      ///< of its forward (common/models/precision.h)
};

/// Not for several threads.
class Student {
 public:
  /// The network as Network makes it, of random weights from torch's CPU generator or of those of a file. `names`: of
  /// its classes, in the order of the outputs; none: not known. Throws Error for mean or std without three
  /// colours.
  Student(const StudentOptions& options, int classes, at::Device device, const std::vector<std::string>& names);

  /// `pictures`: uint8 [N, size, size, 3] on its device. In the options' precision, with gradients where these are on;
  /// logits are FP32.
  NetworkOutputs forward(const at::Tensor& pictures);

  /// Training mode. With `frozen` none of its weights has a gradient; with either, BatchNorm uses its running
  /// statistics and leaves them as they are.
  void train_mode(bool frozen, bool frozen_batch_norm);
  /// To be called after each update of the weights: the average follows.
  void updated();

  /// BatchNorm's running statistics become the mean over batches of pictures, which `next` gives until one is
  /// undefined. What `next` throws leaves the statistics as they are by then. Ends in training mode.
  void reestimate_batch_norm(const std::function<at::Tensor()>& next);

  /// While one lives, the network has its averaged weights, where there is an average: these are judged and kept.
  class Averaged {
   public:
    explicit Averaged(Student& student);
    ~Averaged();
    Averaged(const Averaged&) = delete;
    Averaged& operator=(const Averaged&) = delete;

   private:
    WeightEma* average_;
  };

  /// Its tensors by their names in the model, on its device; they share memory with it.
  Tensors weights();
  /// What a file of its weights says of itself after `step` updates (weights_record.h).
  WeightsRecord record(std::uint64_t step) const;

  Network& network() { return network_; }
  /// None without options.ema.decay.
  WeightEma* average() { return average_.get(); }
  at::Device device() const { return device_; }

 private:
  StudentOptions options_;
  at::Device device_;
  std::vector<std::string> names_;
  std::uint64_t classes_;
  std::array<float, 3> mean_, stddev_;
  Network network_;
  std::unique_ptr<WeightEma> average_;
};

}  // namespace vitrine

#endif  // VITRINE_TRAIN_STUDENT_STUDENT_H_
