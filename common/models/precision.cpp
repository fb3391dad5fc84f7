#include "common/models/precision.h"

#include <ATen/ATen.h>

#include <mutex>
#include <stdexcept>
#include <string_view>

#include "common/base/error.h"
#include "common/models/device.h"

namespace vitrine {
namespace {

constexpr int kOldestWithBf16 = 80;

struct Switch {
  std::mutex mutex;
  int holders = 0;
  bool tf32 = false;
  std::string key, precision;  // of the first holder
};
Switch& process_switch() {
  static Switch one;
  return one;
}

}  // namespace

at::ScalarType compute_type(const std::string& precision) {
  if (precision == "bf16") return at::kBFloat16;
  if (precision == "fp16") return at::kHalf;
  if (precision == "fp32" || precision == "tf32") return at::kFloat;
  throw std::logic_error("there is no precision " + precision);
}

void check_precision(const std::string& precision, int capability, const std::string& key) {
  compute_type(precision);
  if (capability == 0 || capability >= kOldestWithBf16 || precision == "fp32" || precision == "fp16") return;
  fail(key, " = \"", precision, "\": this GPU has compute capability ", capability / 10, ".", capability % 10,
       ", which does not support it (8.0 and higher do); choose fp16 or fp32");
}

PrecisionScope::PrecisionScope(const std::string& precision, c10::Device device, const std::string& key)
    : PrecisionScope(precision, device, key, selected_gpu(device).capability) {}

PrecisionScope::PrecisionScope(const std::string& precision, c10::Device device, const std::string& key, int capability)
    : arithmetic_(device.is_cpu() && precision == "tf32" ? "fp32" : precision), holds_(!device.is_cpu()) {
  check_precision(precision, capability, key);
  if (!holds_) return;
  Switch& one = process_switch();
  const std::lock_guard lock(one.mutex);
  const bool tf32 = precision == "tf32";
  if (one.holders > 0 && one.tf32 != tf32)
    fail(key, " = \"", precision, "\" and ", one.key, " = \"", one.precision,
         "\" cannot be combined: TF32 is a setting of the whole process; choose tf32 for both or neither");
  if (one.holders++ == 0) one.tf32 = tf32, one.key = key, one.precision = precision;
  at::globalContext().setAllowTF32CuDNN(tf32);
  at::globalContext().setAllowTF32CuBLAS(tf32);
}

PrecisionScope::~PrecisionScope() {
  if (!holds_) return;
  const std::lock_guard lock(process_switch().mutex);
  --process_switch().holders;
}

void choose_algorithms(bool deterministic, bool by_trial, c10::Device device, const Environment& environment) {
  if (device.is_cpu()) return;
  if (deterministic) {
    const char* workspace = environment("CUBLAS_WORKSPACE_CONFIG");
    const std::string_view value = workspace == nullptr ? "" : workspace;
    if (value != ":4096:8" && value != ":16:8")
      fail("deterministic = true on a GPU needs the environment variable CUBLAS_WORKSPACE_CONFIG, which is ",
           workspace == nullptr ? "not set" : text("\"", value, "\""),
           "; start with CUBLAS_WORKSPACE_CONFIG=:4096:8, or set deterministic = false");
  }
  at::Context& context = at::globalContext();
  context.setDeterministicCuDNN(deterministic);
  context.setDeterministicAlgorithms(deterministic, /*warn_only=*/false);
  context.setBenchmarkCuDNN(by_trial && !deterministic);
}

}  // namespace vitrine
