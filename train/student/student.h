// The trained model: a network, the moving average of its weights, and BatchNorm's modes. Takes uint8 pictures.
#ifndef VITRINE_TRAIN_STUDENT_STUDENT_H_
#define VITRINE_TRAIN_STUDENT_STUDENT_H_

#include <ATen/ATen.h>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/models/weights/safetensors.h"
#include "common/plan/image_index.h"
#include "common/models/model_options.h"
#include "train/student/network.h"
#include "train/student/weight_ema.h"
#include "common/models/weights/weights_record.h"

namespace vitrine {

/// The part of the run's options that a student is made from.
struct StudentOptions {
  ModelOptions model;
  EmaOptions ema;
  int size = 224;                                      ///< side of its square input, in pixels
  std::vector<double> mean = {0.485, 0.456, 0.406};    ///< subtracted from each colour in [0, 1]
  std::vector<double> stddev = {0.229, 0.224, 0.225};  ///< each colour is divided by it
  double crop_pct = 0.9;                               ///< used for its evaluation; stored in its record
  Decoding decoding;                                   ///< of its pictures; stored in its record
  std::string precision = "fp32";                      ///< of the forward (common/models/precision.h)
};

/// Not thread-safe.
class Student {
 public:
  /// Makes the Network (random weights from torch's CPU generator, or those of a file). `names`: of its classes, in the
  /// order of the outputs; empty: unknown. Throws Error for mean or std without three colours.
  Student(const StudentOptions& options, int classes, at::Device device, const std::vector<std::string>& names);

  /// `pictures`: uint8 [N, size, size, 3] on the student's device. Runs in the options' precision, with gradients if
  /// enabled; logits are FP32.
  NetworkOutputs forward(const at::Tensor& pictures);

  /// Training mode. With `frozen` no weight requires a gradient; with either flag, BatchNorm uses its running
  /// statistics and does not update them.
  void train_mode(bool frozen, bool frozen_batch_norm);
  /// Call after each update of the weights, not while they are frozen; updates the moving average.
  void updated();

  /// Sets BatchNorm's running statistics to the mean over the batches of pictures that `next` returns, until it returns
  /// an undefined one; keeps them if the first is. An exception from `next` leaves the statistics of the batches so
  /// far. Ends in training mode.
  void reestimate_batch_norm(const std::function<at::Tensor()>& next);

  /// RAII: while it lives, the network has its averaged weights, if there is an average. Used for evaluation and for
  /// saving.
  class Averaged {
   public:
    explicit Averaged(Student& student);
    ~Averaged();
    Averaged(const Averaged&) = delete;
    Averaged& operator=(const Averaged&) = delete;

   private:
    WeightEma* average_;
  };

  /// The network's tensors by name, on its device; they share memory with it.
  Tensors weights();
  /// The record for a file of its weights after `step` updates (weights_record.h).
  WeightsRecord record(std::uint64_t step) const;

  Network& network() { return network_; }
  /// Null without options.ema.decay.
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
