// Weight files: any bytes give tensors or an Error.
#include <ATen/ATen.h>

#include <string_view>

#include "common/base/error.h"
#include "common/models/weights/safetensors.h"
#include "tests/faults/shards.h"
#include "tests/fuzz/target.h"

FUZZ_TARGET(safetensors) {
  using namespace vitrine;
  static testing::MemoryFile file;
  file.hold({reinterpret_cast<const char*>(data), size});
  try {
    load_safetensors_metadata(file.path());
    load_safetensors(file.path());
  } catch (const Error&) {
  }
  return 0;
}
