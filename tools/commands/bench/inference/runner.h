// A network of Vitrine's, ready to run in one precision.
#ifndef VITRINE_TOOLS_COMMANDS_BENCH_INFERENCE_RUNNER_H_
#define VITRINE_TOOLS_COMMANDS_BENCH_INFERENCE_RUNNER_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tools/commands/bench/inference/subject.h"

namespace vitrine::bench {

/// How far a ResNet is prepared for inference; each level includes those before it.
enum class Preparation : std::uint8_t {
  kModule,        ///< the module as PyTorch makes it, in 16 bits under autocast
  kChannelsLast,  ///< weights and pictures in channels-last memory
  kFolded,        ///< BatchNorm folded, weights cast once
  kFused,         ///< ReLU and addition inside the convolutions
  kPacked         ///< weights in oneDNN's layout, once
};
/// "channels-last memory", for people.
const char* name_of(Preparation preparation);

struct RunnerOptions {
  std::string precision = "fp32";  ///< fp32, bf16 or fp16
  Preparation preparation = Preparation::kPacked;
  std::int64_t batch = 1;
  at::Device device = at::kCPU;
};

/// From [N, 3, size, size], FP32 on the device, to logits, with the device's work finished. A ViT has one preparation,
/// frozen. On a GPU the frozen ResNet is a CUDA graph, for `batch` pictures. PyTorch's threads must be set before.
using Runner = std::function<at::Tensor(const at::Tensor& x)>;
Runner make_runner(const Subject& subject, const RunnerOptions& options);

/// Random pictures, normalised: the input of runners and peers, contiguous and the same in every process.
at::Tensor random_pictures(std::int64_t batch, std::uint32_t size);

/// Calls `work` once as a warm-up and then repeatedly for `seconds`, at least twice. Returns the seconds of each call.
std::vector<double> time_calls(double seconds, const std::function<void()>& work);

/// The value below which a share `p` of the samples lies (nearest rank). `samples`: not empty.
double quantile(std::vector<double> samples, double p);

/// Bytes by which memory grows at most during `work`, above what is held before: on a CPU the process's, nullopt where
/// the kernel does not report it (/proc/self/clear_refs); on a GPU what PyTorch's allocator gives out.
std::optional<std::uint64_t> peak_growth(at::Device device, const std::function<void()>& work);

}  // namespace vitrine::bench

#endif  // VITRINE_TOOLS_COMMANDS_BENCH_INFERENCE_RUNNER_H_
