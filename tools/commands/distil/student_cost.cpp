#include <torch/torch.h>

#include "tools/commands/distil/student_cost.h"

#include <chrono>
#include <vector>

#include "common/base/error.h"
#include "common/base/local_ranks.h"
#include "common/models/device.h"
#include "common/models/precision.h"
#include "common/models/torch_errors.h"
#include "train/student/student.h"

namespace vitrine {
namespace {

constexpr int kTimedSteps = 2;
constexpr std::int64_t kViews = 16;

const ComputeAdvice kAdvice = {.what = "a step of the student",
                               .memory = "choose a smaller --size or --student",
                               .shapes = "choose another --size"};

double seconds_per_view(const std::string& arch, at::Device device, const std::string& precision, std::uint32_t size,
                        std::uint32_t classes) {
  const PrecisionScope scope(precision, device, "precision");
  StudentOptions options;
  options.model.arch = arch;
  options.size = static_cast<int>(size);
  options.precision = precision;
  Student student(options, static_cast<int>(classes), device, {});
  student.train_mode(false, false);
  const at::Tensor pictures =
      torch::randint(256, {kViews, options.size, options.size, 3}, at::TensorOptions(at::kByte).device(device));
  const at::Tensor labels = torch::randint(classes, {kViews}, at::TensorOptions(at::kLong).device(device));
  const auto step = [&] {
    student.network().module().zero_grad();
    torch::nn::functional::cross_entropy(student.forward(pictures).logits, labels).backward();
    if (device.is_cuda()) torch::cuda::synchronize();
  };
  step();  // the first allocates
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < kTimedSteps; ++i) step();
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
  return taken.count() / static_cast<double>(kTimedSteps * kViews);
}

}  // namespace

StudentCost student_cost(const std::string& arch, const std::string& device_name, std::uint32_t size,
                         std::uint32_t classes) {
  const at::Device device = select_device(device_name);
  at::set_num_threads(static_cast<int>(default_threads()));
  StudentCost best;
  for (const char* precision : {"fp32", "bf16"}) {
    double seconds = 0;
    try {
      seconds = with_torch_errors(kAdvice, [&] { return seconds_per_view(arch, device, precision, size, classes); });
    } catch (const Error& error) {
      if (best.precision.empty() || error.kind() != ErrorKind::kInput) throw;
      continue;  // a card without BF16
    }
    if (best.precision.empty() || seconds < best.seconds) best = {seconds, precision};
  }
  return best;
}

}  // namespace vitrine
