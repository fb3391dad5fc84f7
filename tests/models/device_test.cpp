#include <ATen/ATen.h>

#include "common/models/device.h"

#include <map>

#include "common/models/precision.h"
#include "tests/support/message.h"
#include "tests/support/testing.h"

using namespace vitrine;
using vitrine::testing::has;
using vitrine::testing::message_of;

namespace {

Environment environment_of(const std::map<std::string, std::string>& variables) {
  return [variables](const char* name) {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  };
}

const c10::Device kCard(at::kCUDA, 0);

/// Torch's switches as they were, at the end of a test.
struct Switches {
  bool cudnn = at::globalContext().allowTF32CuDNN(), cublas = at::globalContext().allowTF32CuBLAS();
  ~Switches() {
    at::Context& context = at::globalContext();
    context.setAllowTF32CuDNN(cudnn);
    context.setAllowTF32CuBLAS(cublas);
    context.setDeterministicCuDNN(false);
    context.setDeterministicAlgorithms(false, false);
    context.setBenchmarkCuDNN(false);
  }
};

}  // namespace

TEST_CASE("\"cuda\" is the local rank's GPU, unless one alone is visible or a number is given") {
  const Environment none = environment_of({});
  const Environment third = environment_of({{"LOCAL_RANK", "3"}, {"LOCAL_WORLD_SIZE", "8"}});
  const Environment task =
      environment_of({{"SLURM_LOCALID", "1"}, {"SLURM_STEP_ID", "0"}, {"SLURM_NTASKS_PER_NODE", "2"}});
  CHECK(gpu_index("cuda", 8, none) == 0);
  CHECK(gpu_index("cuda", 8, third) == 3);
  CHECK(gpu_index("cuda", 1, third) == 0);
  CHECK(gpu_index("cuda", 2, task) == 1);
  CHECK(gpu_index("cuda:5", 8, third) == 5);
  CHECK(has(message_of([&] { gpu_index("cuda", 2, third); }), "LOCAL_RANK = 3 and the process sees 2 GPUs"));
  CHECK(
      has(message_of([&] { gpu_index("cuda:2", 2, none); }), "\"cuda:2\" does not exist: this process sees 2 GPU(s)"));
}

TEST_CASE("a missing GPU is reported with its cause and the remedy") {
  const Environment none = environment_of({});
  const CudaProbe missing{.status = 35, .reason = "driver version is insufficient", .runtime = 13000};
  CHECK(has(no_gpu(missing, none).what(),
            "there is no NVIDIA driver; install the NVIDIA driver (CUDA 13.0 needs NVIDIA driver 580"));
  CudaProbe old = missing;
  old.driver = 12080;
  const std::string too_old = no_gpu(old, none).what();
  CHECK(has(too_old,
            "the NVIDIA driver is too old: it supports CUDA 12.8, but CUDA 13.0 needs NVIDIA driver 580 or newer"));
  CHECK_FALSE(has(too_old, "install"));
  const CudaProbe hidden{.status = 100, .reason = "no CUDA-capable device", .driver = 13000, .runtime = 13000};
  CHECK(has(no_gpu(hidden, environment_of({{"CUDA_VISIBLE_DEVICES", ""}})).what(),
            "CUDA_VISIBLE_DEVICES = \"\" hides every GPU"));
  CHECK(has(no_gpu(hidden, none).what(), "the driver finds no GPU"));
  CHECK((no_gpu(hidden, none).kind() == ErrorKind::kInput));
  CudaProbe busy = hidden;
  busy.status = 46;
  CHECK((no_gpu(busy, none).kind() == ErrorKind::kIo));
  CHECK(has(no_gpu(busy, none).what(), "it is busy"));
}

TEST_CASE("a GPU that cannot be begun with is named, with its state") {
  CudaDevice device{.status = 46, .reason = "busy or unavailable", .name = "NVIDIA T4", .capability = 75};
  CHECK(has(gpu_refused("cuda:1", device).what(), "device \"cuda:1\" (NVIDIA T4) cannot be used: it is busy"));
  device.status = 2;
  CHECK((gpu_refused("cuda:1", device).kind() == ErrorKind::kMemory));
  device.status = 999, device.reason = "unknown error";
  CHECK(has(gpu_refused("cuda:1", device).what(), "unknown error (CUDA error 999)"));
  device.status = 0, device.capability = 61;
  CHECK(has(gpu_refused("cuda:1", device).what(), "compute capability 6.1 is older than 7.5"));
  CHECK(selected_gpu(at::kCPU).capability == 0);
}

TEST_CASE("BF16 and TF32 are refused where a GPU has none, with what it has") {
  const std::string refusal = message_of([] { check_precision("bf16", 75, "precision"); });
  CHECK(has(refusal, "precision = \"bf16\": this GPU has compute capability 7.5, which does not support it"));
  CHECK(has(refusal, "choose fp16 or fp32"));
  CHECK(has(message_of([] { check_precision("tf32", 75, "teacher.precision"); }), "teacher.precision = \"tf32\""));
  for (const char* precision : {"fp32", "fp16"}) check_precision(precision, 75, "precision");
  for (const char* precision : {"fp32", "tf32", "bf16", "fp16"})
    for (const int capability : {0, 80, 120}) check_precision(precision, capability, "precision");
}

TEST_CASE("on a GPU fp32 switches TF32 off everywhere, and tf32 on everywhere") {
  const Switches before;
  at::Context& context = at::globalContext();
  for (const char* precision : {"fp32", "bf16", "fp16", "tf32"}) {
    CAPTURE(precision);
    const bool tf32 = std::string(precision) == "tf32";
    context.setAllowTF32CuDNN(!tf32);
    context.setAllowTF32CuBLAS(!tf32);
    const PrecisionScope scope(precision, kCard, "precision", 90);
    CHECK(context.allowTF32CuDNN() == tf32);
    CHECK(context.allowTF32CuBLAS() == tf32);
    CHECK(scope.arithmetic() == precision);
    const PrecisionScope again(precision, kCard, "teacher.precision", 90);
    const char* other = tf32 ? "bf16" : "tf32";
    CHECK(has(message_of([&] { PrecisionScope(other, kCard, "teacher.precision", 90); }), "cannot be combined"));
  }
}

TEST_CASE("the CPU switches nothing, and says that tf32 is fp32 there") {
  const Switches before;
  at::globalContext().setAllowTF32CuDNN(true);
  const PrecisionScope scope("tf32", at::kCPU, "precision"), other("fp32", at::kCPU, "teacher.precision");
  CHECK(scope.arithmetic() == "fp32");
  CHECK(at::globalContext().allowTF32CuDNN());
}

TEST_CASE("deterministic training asks for cuBLAS's variable; otherwise the fastest algorithms are tried out") {
  const Switches before;
  at::Context& context = at::globalContext();
  const Environment none = environment_of({}), other = environment_of({{"CUBLAS_WORKSPACE_CONFIG", ":0:0"}});
  CHECK(has(message_of([&] { choose_algorithms(true, true, kCard, none); }),
            "CUBLAS_WORKSPACE_CONFIG, which is not set; start with CUBLAS_WORKSPACE_CONFIG=:4096:8"));
  CHECK(has(message_of([&] { choose_algorithms(true, true, kCard, other); }), "which is \":0:0\""));
  CHECK_FALSE(context.deterministicAlgorithms());
  choose_algorithms(true, true, kCard, environment_of({{"CUBLAS_WORKSPACE_CONFIG", ":4096:8"}}));
  CHECK(context.deterministicCuDNN());
  CHECK(context.deterministicAlgorithms());
  CHECK_FALSE(context.benchmarkCuDNN());
  choose_algorithms(false, true, kCard, none);
  CHECK_FALSE(context.deterministicCuDNN());
  CHECK_FALSE(context.deterministicAlgorithms());
  CHECK(context.benchmarkCuDNN());
  choose_algorithms(false, false, kCard, none);
  CHECK_FALSE(context.benchmarkCuDNN());
  choose_algorithms(true, true, at::kCPU, none);
  CHECK_FALSE(context.deterministicAlgorithms());
}
