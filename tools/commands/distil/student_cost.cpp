#include "tools/commands/distil/student_cost.h"

#include <torch/cuda.h>
#include <torch/nn/functional/loss.h>
#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <memory>
#include <vector>

#include "common/base/error.h"
#include "common/base/local_ranks.h"
#include "common/models/device.h"
#include "common/models/precision.h"
#include "common/models/torch_errors.h"
#include "train/optim/optimizer.h"
#include "train/student/student.h"

namespace vitrine {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::int64_t kViews = 16;
// Rounds over the precisions, so that what else the machine does meets each of them; fewer where a step is slow.
constexpr int kRounds = 5;
constexpr std::chrono::seconds kEnough{15};

const ComputeAdvice kAdvice = {.what = "a step of the student",
                               .memory = "choose a smaller --size or --student",
                               .shapes = "choose another --size"};

// A student that makes one step at a time on random pictures.
class Trial {
 public:
  Trial(const ModelOptions& model, at::Device device, const std::string& precision, std::uint32_t size,
        std::uint32_t classes)
      : scope_(precision, device, "precision"),
        student_(options(model, precision, size), static_cast<int>(classes), device, {}) {
    student_.train_mode(false, false);
    const std::int64_t side = size;
    pictures_ = at::randint(256, {kViews, side, side, 3}, at::TensorOptions(at::kByte).device(device));
    labels_ = at::randint(classes, {kViews}, at::TensorOptions(at::kLong).device(device));
    NamedParameters parameters;
    for (const auto& entry : student_.network().module().named_parameters())
      parameters.emplace_back(entry.key(), entry.value());
    optimizer_ = make_optimizer(std::move(parameters), {});
    step();  // the first allocates
  }

  void time_step() {
    const auto start = Clock::now();
    step();
    best_ = std::min(best_, std::chrono::duration<double>(Clock::now() - start).count());
  }
  double weight_bytes() {
    std::size_t bytes = 0;
    for (const auto& tensors : {student_.network().module().parameters(), student_.network().module().buffers()})
      for (const at::Tensor& tensor : tensors) bytes += tensor.nbytes();
    return static_cast<double>(bytes);
  }
  /// Seconds per view of the quickest step.
  double seconds() const { return best_ / static_cast<double>(kViews); }

 private:
  static StudentOptions options(const ModelOptions& model, const std::string& precision, std::uint32_t size) {
    StudentOptions out;
    out.model = model;
    out.size = static_cast<int>(size);
    out.precision = precision;
    return out;
  }
  void step() {
    optimizer_->zero_grad();
    torch::nn::functional::cross_entropy(student_.forward(pictures_).logits, labels_).backward();
    optimizer_->step(1e-4);
    if (pictures_.is_cuda()) torch::cuda::synchronize();
  }

  PrecisionScope scope_;
  Student student_;
  at::Tensor pictures_, labels_;
  std::unique_ptr<Optimizer> optimizer_;
  double best_ = std::numeric_limits<double>::infinity();
};

}  // namespace

StudentCost student_cost(const ModelOptions& model, const std::string& device_name, std::uint32_t size,
                         std::uint32_t classes, const std::vector<std::string>& precisions) {
  const at::Device device = select_device(device_name);
  at::set_num_threads(static_cast<int>(default_threads()));
  return with_torch_errors(kAdvice, [&] {
    const auto start = Clock::now();
    std::vector<std::pair<std::string, std::unique_ptr<Trial>>> trials;
    for (const std::string& precision : precisions) try {
        trials.emplace_back(precision, std::make_unique<Trial>(model, device, precision, size, classes));
      } catch (const Error& error) {
        if (trials.empty() || error.kind() != ErrorKind::kInput) throw;  // a card without BF16 goes on with FP32
      }
    for (int round = 0; round < kRounds && (round == 0 || Clock::now() - start < kEnough); ++round)
      for (auto& [precision, trial] : trials) trial->time_step();
    const auto quickest = std::ranges::min_element(trials, {}, [](const auto& one) { return one.second->seconds(); });
    return StudentCost{quickest->second->seconds(), quickest->first, quickest->second->weight_bytes()};
  });
}

}  // namespace vitrine
