#include <torch/torch.h>

#include "common/models/device.h"

#include <dlfcn.h>
#include <charconv>
#include <filesystem>

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

}  // namespace

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
