#include <torch/torch.h>

#include "common/models/device.h"

#include <ATen/cpu/Utils.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <dlfcn.h>
#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "common/base/error.h"

namespace vitrine {
namespace {

/// Loads the library, once, and returns the number of GPUs. It stays loaded: torch keeps pointers into it.
int load_cuda() {
  static const int devices = [] {
    const auto path = std::filesystem::read_symlink("/proc/self/exe").parent_path() / "libvitrine_cuda.so";
    void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL);
    if (library == nullptr)
      fail("Device \"cuda\" needs ", path.string(), ", which cannot be loaded (", dlerror(),
           "); build the target vitrine_cuda, or choose device \"cpu\".");
    const auto count = reinterpret_cast<int (*)(const char**)>(dlsym(library, "vitrine_cuda_devices"));
    if (count == nullptr) fail(path.string(), " is of another version than this program; build both again.");
    const char* reason = "";
    const int found = count(&reason);
    if (found <= 0)
      fail("Device \"cuda\" cannot be used: ", reason, "; install the NVIDIA driver, or choose device \"cpu\".");
    if (!at::globalContext().hasCUDA())
      throw std::logic_error("torch was asked for CUDA before select_device was called");
    return found;
  }();
  return devices;
}

// "Intel(R) Xeon(R) Platinum 8480C", as Linux calls it; else LibTorch's shorter name.
std::string cpu_name(const std::string& fallback) {
  const std::string key = "model name";
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);)
    if (const std::size_t colon = line.find(": "); line.starts_with(key) && colon != std::string::npos)
      return line.substr(colon + 2);
  return fallback;
}

// oneDNN chooses its kernels by these; LibTorch does not export which set it really takes.
DeviceRecord describe_cpu() {
  const auto capabilities = at::cpu::get_cpu_capabilities();
  const auto name = capabilities.find("cpu_name");
  DeviceRecord out;
  out.kind = "cpu";
  out.name = cpu_name(name == capabilities.end() ? "unknown" : name->second.toStringRef());
  out.capability = at::get_cpu_capability();
  for (const char* set : {"amx_bf16", "amx_fp16", "amx_int8", "avx10_1", "avx10_2", "avx512_bf16", "avx512_fp16"}) {
    const auto found = capabilities.find(set);
    if (found == capabilities.end() || !found->second.isBool() || !found->second.toBool()) continue;
    std::string word = set;
    std::ranges::transform(word, word.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    out.instruction_sets.push_back(word);
  }
  for (const char* limit : {"ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"})
    if (const char* value = std::getenv(limit)) out.instruction_sets.push_back(std::string(limit) + "=" + value);
  out.libraries["libtorch"] = TORCH_VERSION;
  return out;
}

/// "13.0.1" of 13, 0, 1.
template <std::size_t count>
std::string dotted(const std::array<long, count>& numbers) {
  std::string out;
  for (const long number : numbers) out += (out.empty() ? "" : ".") + std::to_string(number);
  return out;
}

DeviceRecord describe_cuda(c10::DeviceIndex index) {
  // As libvitrine_cuda.so has it, which load_cuda() left loaded and visible.
  using Describe = int (*)(int, char*, std::size_t, int*, const char**);
  const auto describe = reinterpret_cast<Describe>(dlsym(RTLD_DEFAULT, "vitrine_cuda_describe"));
  if (describe == nullptr) fail("libvitrine_cuda.so is of another version than this program; build both again");
  std::array<char, 256> name{};
  std::array<int, 3> numbers{};  // compute capability, CUDA's runtime
  const char* reason = "";
  if (describe(index, name.data(), name.size(), numbers.data(), &reason) != 0)
    fail("GPU ", static_cast<int>(index), " does not say which it is (", reason, "); check it with nvidia-smi");
  DeviceRecord out;
  out.kind = "cuda";
  out.name = name.data();
  out.capability = text(numbers[0], '.', numbers[1]);
  out.libraries["libtorch"] = TORCH_VERSION;
  out.libraries["cuda"] = dotted(std::array<long, 2>{numbers[2] / 1000, numbers[2] % 1000 / 10});
  if (const auto& hooks = at::detail::getCUDAHooks(); hooks.hasCuDNN()) {
    const long cudnn = hooks.versionRuntimeCuDNN();
    out.libraries["cudnn"] = dotted(std::array{cudnn / 10000, cudnn % 10000 / 100, cudnn % 100});
  }
  using Property = int (*)(int, int*);  // cublasGetProperty; major, minor and patch level are 0, 1, 2
  if (const auto property = reinterpret_cast<Property>(dlsym(RTLD_DEFAULT, "cublasGetProperty"))) {
    std::array<int, 3> version{};
    for (int part = 0; part < 3; ++part) property(part, &version[static_cast<std::size_t>(part)]);
    out.libraries["cublas"] = dotted(std::array<long, 3>{version[0], version[1], version[2]});
  }
  return out;
}

}  // namespace

DeviceRecord describe_device(c10::Device device) {
  return device.is_cuda() ? describe_cuda(device.index()) : describe_cpu();
}

c10::Device select_device(const std::string& name) {
  if (name == "cpu") return at::kCPU;
  int index = 0;
  if (name != "cuda") {
    const std::string prefix = "cuda:";
    const char* end = name.data() + name.size();
    const auto parsed = name.starts_with(prefix) ? std::from_chars(name.data() + prefix.size(), end, index)
                                                 : std::from_chars_result{nullptr, std::errc::invalid_argument};
    if (parsed.ec != std::errc{} || parsed.ptr != end || index < 0)
      fail("There is no device \"", name, "\"; choose \"cpu\", \"cuda\" or \"cuda:NUMBER\".");
  }
  const int devices = load_cuda();
  if (index >= devices)
    fail("Device \"", name, "\" is not there: this machine has ", devices, " GPU(s), counted from cuda:0.");
  return {at::kCUDA, static_cast<c10::DeviceIndex>(index)};
}

}  // namespace vitrine
