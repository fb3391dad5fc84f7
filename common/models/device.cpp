#include "common/models/device.h"

#include <torch/version.h>
#include <ATen/ATen.h>

#include <ATen/cpu/Utils.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <dlfcn.h>
#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <mutex>

#include "common/base/paths.h"
#include "common/models/instruction_sets.h"

namespace vitrine {
namespace {

constexpr int kOldestCapability = 75;  // required by CUDA 13

/// The cudaError_t values with specific advice.
enum CudaStatus : int {
  kMemoryAllocation = 2,
  kInsufficientDriver = 35,
  kDevicesUnavailable = 46,
  kNoDevice = 100,
  kSystemNotReady = 802,
  kSystemDriverMismatch = 803,
};

struct CudaLibrary {
  CudaProbe probe;
  decltype(&vitrine_cuda_device) device;
};

template <class Function>
Function symbol(void* library, const std::filesystem::path& path, const char* name) {
  const auto found = reinterpret_cast<Function>(dlsym(library, name));
  if (found == nullptr) fail(path.string(), ": has another version than this program; rebuild both");
  return found;
}

/// Loads the library once. It is never unloaded: torch keeps pointers into it.
const CudaLibrary& load_cuda() {
  static const CudaLibrary loaded = [] {
    const std::filesystem::path path = own_directory() / "libvitrine_cuda.so";
    void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL);
    if (library == nullptr)
      fail("device \"cuda\" needs ", path.string(), ", which cannot be loaded (", dlerror(),
           "); build the target vitrine_cuda, or choose device \"cpu\"");
    if (symbol<decltype(&vitrine_cuda_version)>(library, path, "vitrine_cuda_version")() != kCudaLibraryVersion)
      fail(path.string(), ": has another version than this program; rebuild both");
    CudaLibrary out;
    out.device = symbol<decltype(&vitrine_cuda_device)>(library, path, "vitrine_cuda_device");
    symbol<decltype(&vitrine_cuda_probe)>(library, path, "vitrine_cuda_probe")(&out.probe);
    if (out.probe.devices <= 0) throw no_gpu(out.probe, process_environment());
    if (!at::globalContext().hasCUDA())
      throw std::logic_error("torch was asked for CUDA before select_device was called");
    return out;
  }();
  return loaded;
}

/// Creates a context on a GPU at the first call and caches the result by index.
CudaDevice open_gpu(int index, const std::string& name) {
  static std::mutex mutex;
  static std::map<int, CudaDevice> known;
  const std::lock_guard lock(mutex);
  if (const auto found = known.find(index); found != known.end()) return found->second;
  CudaDevice device;
  load_cuda().device(index, &device);
  if (device.status != 0 || device.capability < kOldestCapability) throw gpu_refused(name, device);
  return known.emplace(index, device).first->second;
}

std::string cuda_version(int version) {
  return text(version / 1000, ".", version % 1000 / 10);
}

Error refusal(ErrorKind kind, const std::string& reason, const std::string& remedy) {
  return {
      kind,
      {.what = text("device \"cuda\" cannot be used: ", reason), .remedy = text(remedy, ", or choose device \"cpu\"")}};
}

// The model name in /proc/cpuinfo, "Intel(R) Xeon(R) Platinum 8480C"; `fallback` (LibTorch's shorter name) if absent.
std::string cpu_name(const std::string& fallback) {
  const std::string key = "model name";
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);)
    if (const std::size_t colon = line.find(": "); line.starts_with(key) && colon != std::string::npos)
      return line.substr(colon + 2);
  return fallback;
}

// oneDNN selects its kernels by these instruction sets; LibTorch does not export which one it actually uses.
DeviceRecord describe_cpu() {
  const auto capabilities = at::cpu::get_cpu_capabilities();
  const auto name = capabilities.find("cpu_name");
  DeviceRecord out;
  out.kind = "cpu";
  out.name = cpu_name(name == capabilities.end() ? "unknown" : name->second.toStringRef());
  out.capability = at::get_cpu_capability();
  for (const char* set : {"amx_bf16", "amx_fp16", "amx_int8", "avx10_1", "avx10_2", "avx512_bf16", "avx512_fp16"}) {
    if (!cpu_has(set)) continue;
    std::string word = set;
    std::ranges::transform(word, word.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    out.instruction_sets.push_back(word);
  }
  for (const char* limit : {"ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"})
    if (const char* value = std::getenv(limit)) out.instruction_sets.push_back(std::string(limit) + "=" + value);
  out.libraries["libtorch"] = TORCH_VERSION;
  return out;
}

/// "13.0.1" from 13, 0, 1.
template <std::size_t count>
std::string dotted(const std::array<long, count>& numbers) {
  std::string out;
  for (const long number : numbers) out += text(out.empty() ? "" : ".", number);
  return out;
}

DeviceRecord describe_cuda(c10::Device device) {
  const CudaDevice gpu = selected_gpu(device);
  DeviceRecord out;
  out.kind = "cuda";
  out.name = gpu.name;
  out.capability = text(gpu.capability / 10, '.', gpu.capability % 10);
  out.libraries["libtorch"] = TORCH_VERSION;
  out.libraries["cuda"] = cuda_version(load_cuda().probe.runtime);
  if (const auto& hooks = at::detail::getCUDAHooks(); hooks.hasCuDNN()) {
    const long cudnn = hooks.versionRuntimeCuDNN();
    out.libraries["cudnn"] = dotted(std::array{cudnn / 10000, cudnn % 10000 / 100, cudnn % 100});
  }
  using Property = int (*)(int, int*);  // cublasGetProperty; 0, 1, 2: major, minor, patch level
  if (const auto property = reinterpret_cast<Property>(dlsym(RTLD_DEFAULT, "cublasGetProperty"))) {
    std::array<int, 3> version{};
    for (int part = 0; part < 3; ++part) property(part, &version[static_cast<std::size_t>(part)]);
    out.libraries["cublas"] = dotted(std::array<long, 3>{version[0], version[1], version[2]});
  }
  return out;
}

}  // namespace

DeviceRecord describe_device(c10::Device device) {
  return device.is_cuda() ? describe_cuda(device) : describe_cpu();
}

Error no_gpu(const CudaProbe& probe, const Environment& environment) {
  const std::string needed = text("CUDA ", cuda_version(probe.runtime), " needs NVIDIA driver 580 or newer");
  if (probe.status == kInsufficientDriver && probe.driver > 0)
    return refusal(
        ErrorKind::kInput,
        text("the NVIDIA driver is too old: it supports CUDA ", cuda_version(probe.driver), ", but ", needed),
        "update the driver");
  const char* visible = environment("CUDA_VISIBLE_DEVICES");
  if (probe.driver == 0)
    return refusal(
        ErrorKind::kInput, "there is no NVIDIA driver",
        text("install the NVIDIA driver (", needed, "), or start the container with its GPUs (docker run --gpus all)"));
  if ((probe.status == kNoDevice || probe.status == 0) && visible != nullptr)
    return refusal(ErrorKind::kInput, text("CUDA_VISIBLE_DEVICES = \"", visible, "\" hides every GPU"),
                   "unset CUDA_VISIBLE_DEVICES, or name a GPU that nvidia-smi -L lists");
  if (probe.status == kNoDevice || probe.status == 0)
    return refusal(ErrorKind::kInput, "the driver finds no GPU",
                   "check that nvidia-smi -L lists one, request one under Slurm (--gpus)");
  return gpu_refused("cuda", {.status = probe.status, .reason = probe.reason});
}

Error gpu_refused(const std::string& gpu, const CudaDevice& device) {
  const auto refused = [&](ErrorKind kind, const std::string& reason, const std::string& remedy) {
    return Error(kind, {.what = text("device \"", gpu, "\"", *device.name == 0 ? "" : text(" (", device.name, ")"),
                                     " cannot be used: ", reason),
                        .remedy = text(remedy, ", or choose device \"cpu\"")});
  };
  switch (device.status) {
    case 0:
      return refused(
          ErrorKind::kInput,
          text("its compute capability ", device.capability / 10, ".", device.capability % 10, " is older than ",
               kOldestCapability / 10, ".", kOldestCapability % 10, ", the oldest of CUDA 13"),
          "use a newer GPU");
    case kDevicesUnavailable:
      return refused(
          ErrorKind::kIo, "it is busy: another process uses it exclusively (compute mode), or it failed",
          "find that process with nvidia-smi, choose another GPU (\"cuda:N\"), set nvidia-smi --compute-mode=DEFAULT");
    case kMemoryAllocation:
      return refused(ErrorKind::kMemory, "its memory is full",
                     "end the programs that nvidia-smi lists, choose another GPU");
    case kSystemNotReady:
      return refused(ErrorKind::kIo,
                     "the system's GPUs are not ready, usually because NVIDIA's fabric manager is not running",
                     "start nvidia-fabricmanager");
    case kSystemDriverMismatch:
      return refused(ErrorKind::kIo, "the loaded driver and its libraries have different versions, as after an update",
                     "restart the machine");
    default:
      return refused(ErrorKind::kIo, text(device.reason, " (CUDA error ", device.status, ")"),
                     "check that GPU with nvidia-smi");
  }
}

int gpu_index(const std::string& name, int devices, const Environment& environment) {
  const std::string prefix = "cuda:";
  int index = 0;
  if (name == "cuda") {
    const std::optional<LocalRank> rank = devices > 1 ? local_rank(environment) : std::nullopt;
    if (!rank) return 0;
    if (static_cast<int>(rank->rank) >= devices)
      fail("device \"cuda\" is the GPU of this process's rank, but ", rank->variable, " = ", rank->rank,
           " and the process sees ", devices,
           " GPUs; start as many processes on a machine as it has GPUs, or name one (", prefix, "0)");
    return static_cast<int>(rank->rank);
  }
  const char* end = name.data() + name.size();
  const auto parsed = name.starts_with(prefix) ? std::from_chars(name.data() + prefix.size(), end, index)
                                               : std::from_chars_result{nullptr, std::errc::invalid_argument};
  if (parsed.ec != std::errc{} || parsed.ptr != end || index < 0)
    fail("unknown device \"", name, "\"; choose \"cpu\", \"cuda\" or \"cuda:NUMBER\"");
  if (index >= devices)
    fail("device \"", name, "\" does not exist: this process sees ", devices, " GPU(s), counted from cuda:0");
  return index;
}

c10::Device select_device(const std::string& name) {
  if (name == "cpu") return at::kCPU;
  const Environment environment = process_environment();
  gpu_index(name, std::numeric_limits<int>::max(),
            [](const char*) { return nullptr; });  // reject an invalid name before loading the library
  const int index = gpu_index(name, load_cuda().probe.devices, environment);
  open_gpu(index, text("cuda:", index));
  return {at::kCUDA, static_cast<c10::DeviceIndex>(index)};
}

CudaDevice selected_gpu(c10::Device device) {
  return device.is_cuda() ? open_gpu(device.index(), device.str()) : CudaDevice{};
}

}  // namespace vitrine
