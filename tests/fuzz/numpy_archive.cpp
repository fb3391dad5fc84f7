// NumPy archives of weights: any bytes give tensors or an Error. The first byte chooses whether the rest is a file or
// the array "embedding/kernel.npy" in an archive.
#include <ATen/ATen.h>

#include <string_view>

#include "common/base/error.h"
#include "common/models/weights/names.h"
#include "common/models/weights/numpy_archive.h"
#include "tests/faults/shards.h"
#include "tests/fuzz/cases.h"
#include "tests/fuzz/target.h"
#include "tests/support/zip_bytes.h"

FUZZ_TARGET(numpy_archive) {
  using namespace vitrine;
  static testing::MemoryFile memory;
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  const bool array = testing::take_byte(rest) % 2 == 1;
  memory.hold(array ? testing::zip_bytes({{"embedding/kernel.npy", std::string(rest)}}) : std::string(rest));
  const auto file = std::make_shared<const MappedFile>(memory.path());
  if (!is_numpy_archive(file->bytes())) return 0;
  try {
    std::vector<std::string> notes;
    with_timm_names(read_numpy_archive(file, "fuzz"), "fuzz", notes);
  } catch (const Error&) {
  }
  return 0;
}
