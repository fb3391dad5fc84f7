// Packages that AOTInductor compiled: a shared library with the weights in it, between whose threads LibTorch's
// container divides a number of models, which share the weights.
#include <torch/csrc/inductor/aoti_package/model_package_loader.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <cstddef>
#include <exception>
#include <mutex>
#include <new>
#include <semaphore>
#include <thread>
#include <utility>

#include "common/base/files.h"
#include "common/models/weights/zip_archive.h"
#include "common/teacher/module_program.h"

namespace vitrine {
namespace {

using Loader = torch::inductor::AOTIModelPackageLoader;

constexpr const char* kModel = "model";  // the name that aoti_compile_and_package gives

/// LibTorch's loader checks no checksums, and crashes on an archive without a model.
void check_package(const std::string& file) {
  const MappedFile mapped(file);
  const ZipArchive archive(mapped.bytes(), file);
  bool has_library = false;
  for (const std::string& name : archive.names()) {
    archive.read(name);
    has_library = has_library ||
                  (name.find(text("/data/aotinductor/", kModel, "/")) != std::string::npos && name.ends_with(".so"));
  }
  if (!has_library)
    throw Error(ErrorKind::kInput,
                {.path = file, .what = "is a compiled package without a compiled model", .remedy = kExportAgain});
}

/// Models, one for each call at a time: a CPU's calls run on one thread each.
std::size_t models_for(c10::Device device) {
  return device.is_cpu() ? std::max(1u, std::thread::hardware_concurrency()) : 1;
}

/// The loader and compiled code throw std::runtime_error, whose details LibTorch has logged.
template <class Call>
decltype(auto) with_package_errors(const std::string& file, const char* what, Call&& call) {
  try {
    return call();
  } catch (const c10::Error&) {
    throw;
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& error) {
    const std::string reason = error.what();
    throw Error(ErrorKind::kInput, {.path = file,
                                    .what = text(what, " (", reason.substr(0, reason.find('\n')), ")"),
                                    .remedy = text(kExportAgain, " on this machine, or with --format torchscript")});
  }
}

class PackageProgram : public ModuleProgram {
 public:
  PackageProgram(const std::string& file, std::size_t outputs, c10::Device device)
      : file_(file), outputs_(outputs), free_(static_cast<std::ptrdiff_t>(models_for(device))) {
    check_package(file);
    with_torch_errors(loading_module(file), [&] {
      with_package_errors(file_, "cannot be loaded", [&] {
        loader_ = std::make_unique<Loader>(file, kModel, /*run_single_threaded=*/false, models_for(device),
                                           device.is_cpu() ? c10::DeviceIndex{-1} : device.index());
      });
    });
  }

  std::vector<at::Tensor> run(const at::Tensor& x) override {
    std::vector<at::Tensor> out;
    // The container's first call prepares the weights. Calls beside it, if they have to wait for a model, would keep it
    // waiting for ever.
    std::call_once(prepared_, [&] { out = compute(x); });
    if (out.empty()) out = compute(x);
    if (out.size() != outputs_)
      fail(file_, ": the package returns ", out.size(), " tensors, but its card names ", outputs_, "; ", kExportAgain);
    return out;
  }

 private:
  /// One of the models while a call has it. The container's own wait misses models whose call failed.
  class Lease {
   public:
    explicit Lease(std::counting_semaphore<>& free) : free_(free) { free_.acquire(); }
    ~Lease() { free_.release(); }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;

   private:
    std::counting_semaphore<>& free_;
  };

  std::vector<at::Tensor> compute(const at::Tensor& x) {
    const Lease model(free_);
    return with_package_errors(file_, "fails", [&] { return loader_->run({x}); });
  }

  std::string file_;
  std::size_t outputs_;
  std::unique_ptr<Loader> loader_;
  std::counting_semaphore<> free_;
  std::once_flag prepared_;
};

}  // namespace

std::unique_ptr<ModuleProgram> load_package(const std::string& file, const ModuleCard& card, c10::Device device) {
  return std::make_unique<PackageProgram>(file, card.outputs.size(), device);
}

}  // namespace vitrine
