#include "tools/commands/bench/inference/runner.h"

#include <torch/cuda.h>
#include <ATen/ATen.h>
#include <c10/core/CachingDeviceAllocator.h>

#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>
#include <memory>

#include "common/base/error.h"
#include "common/models/autocast.h"
#include "common/models/inference/cuda_graph.h"
#include "common/models/inference/frozen_resnet.h"
#include "common/models/precision.h"
#include "common/models/vit/vit.h"

namespace vitrine::bench {
namespace {

void finish(at::Device device) {
  if (device.is_cuda()) torch::cuda::synchronize(device.index());
}

Runner vit_runner(const VitStructure& structure, const RunnerOptions& options) {
  at::manual_seed(1);
  Vit network(structure);
  network->eval();
  network->to(options.device);
  network->freeze(compute_type(options.precision));
  return [network, device = options.device](const at::Tensor& x) mutable {
    const c10::InferenceMode inference;
    at::Tensor logits = network->forward(x).logits;
    finish(device);
    return logits;
  };
}

// The module itself, under autocast.
Runner module_runner(const StoredStudent& student, const RunnerOptions& options) {
  Network network = network_of(student, options.device);  // its weights are channels-last
  const bool channels_last = options.preparation == Preparation::kChannelsLast;
  {
    const at::NoGradGuard no_grad;
    if (!channels_last)
      for (at::Tensor& parameter : network.module().parameters()) parameter.set_data(parameter.contiguous());
  }
  const at::ScalarType type = compute_type(options.precision);
  return [network, type, channels_last, device = options.device](const at::Tensor& x) mutable {
    const c10::InferenceMode inference;
    const Autocast autocast(device, type);
    const at::Tensor input = channels_last ? x.contiguous(at::MemoryFormat::ChannelsLast) : x;
    at::Tensor logits = network.forward(input).logits;
    finish(device);
    return logits;
  };
}

// Replays the recorded forward of `batch` pictures.
Runner graph_runner(const std::shared_ptr<const FrozenResNet>& network, std::int64_t batch, std::int64_t size) {
  struct Recorded {
    at::Tensor input, logits;
    std::optional<CudaGraph> graph;
  };
  const auto recorded = std::make_shared<Recorded>();
  recorded->input = at::zeros({batch, 3, size, size}, at::device(network->device()).dtype(network->options().type))
                        .contiguous(at::MemoryFormat::ChannelsLast);
  recorded->graph.emplace([&] { recorded->logits = network->forward(recorded->input); });
  return [network, recorded](const at::Tensor& x) {
    const c10::InferenceMode inference;
    recorded->input.copy_(x);
    recorded->graph->replay();
    at::Tensor logits = recorded->logits.clone();
    finish(network->device());
    return logits;
  };
}

// A line "VmRSS:   1234 kB" of /proc/self/status, in bytes.
std::optional<std::uint64_t> status_bytes(const std::string& key) {
  std::ifstream in("/proc/self/status");
  for (std::string line; std::getline(in, line);)
    if (line.starts_with(key + ":")) return 1024 * std::stoull(line.substr(key.size() + 1));
  return std::nullopt;
}

// PyTorch's statistics are of all streams of the device.
std::uint64_t allocator_growth(at::Device device, const std::function<void()>& work) {
  constexpr auto kAll = static_cast<std::size_t>(c10::CachingAllocator::StatType::AGGREGATE);
  c10::DeviceAllocator* allocator = c10::getDeviceAllocator(device.type());
  const auto bytes = [&] { return allocator->getDeviceStats(device.index()).allocated_bytes.at(kAll); };
  allocator->resetPeakStats(device.index());
  const std::int64_t before = bytes().current;
  work();
  return static_cast<std::uint64_t>(bytes().peak - before);
}

// VmHWM becomes what VmRSS is.
bool reset_peak() {
  std::ofstream out("/proc/self/clear_refs");
  out << "5" << std::flush;
  return out.good();
}

}  // namespace

const char* name_of(Preparation preparation) {
  switch (preparation) {
    case Preparation::kModule:
      return "as trained";
    case Preparation::kChannelsLast:
      return "channels-last memory";
    case Preparation::kFolded:
      return "BatchNorm folded";
    case Preparation::kFused:
      return "ReLU and addition fused";
    case Preparation::kPacked:
      return "weights packed";
  }
  throw std::logic_error("unknown preparation");
}

Runner make_runner(const Subject& subject, const RunnerOptions& options) {
  if (subject.vit) return vit_runner(*subject.vit, options);
  const StoredStudent& student = *subject.resnet;
  if (options.preparation < Preparation::kFolded) return module_runner(student, options);
  const std::int64_t size = subject.size;
  const auto network =
      std::make_shared<const FrozenResNet>(student.weights, options.device,
                                           FrozenOptions{.type = compute_type(options.precision),
                                                         .fuse = options.preparation >= Preparation::kFused,
                                                         .pack = options.preparation >= Preparation::kPacked,
                                                         .shape = {options.batch, size, size}});
  if (options.device.is_cuda()) return graph_runner(network, options.batch, subject.size);
  return [network](const at::Tensor& x) { return network->forward(x); };
}

at::Tensor random_pictures(std::int64_t batch, std::uint32_t size) {
  at::manual_seed(2);
  return at::randn({batch, 3, size, size});
}

std::vector<double> time_calls(double seconds, const std::function<void()>& work) {
  using Clock = std::chrono::steady_clock;
  const auto since = [](Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  work();
  std::vector<double> out;
  for (const auto start = Clock::now(); out.size() < 2 || since(start) < seconds;) {
    const auto begin = Clock::now();
    work();
    out.push_back(since(begin));
  }
  return out;
}

double quantile(std::vector<double> samples, double p) {
  const double rank = std::ceil(p * static_cast<double>(samples.size()));
  const auto place = static_cast<std::ptrdiff_t>(std::clamp(rank, 1.0, static_cast<double>(samples.size()))) - 1;
  std::nth_element(samples.begin(), samples.begin() + place, samples.end());
  return samples[static_cast<std::size_t>(place)];
}

std::optional<std::uint64_t> peak_growth(at::Device device, const std::function<void()>& work) {
  if (!device.is_cpu()) return allocator_growth(device, work);
  malloc_trim(0);
  const std::optional<std::uint64_t> before = status_bytes("VmRSS");
  const bool told = before.has_value() && reset_peak();
  work();
  const std::optional<std::uint64_t> peak = status_bytes("VmHWM");
  if (!told || !peak) return std::nullopt;
  return *peak > *before ? *peak - *before : 0;
}

}  // namespace vitrine::bench
