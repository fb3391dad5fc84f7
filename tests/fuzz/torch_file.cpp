// Files of torch.save: any bytes give tensors or an Error. The first byte chooses whether the rest is a file or the
// pickle in an archive that has one storage, "0" of 64 bytes.
#include <ATen/ATen.h>

#include <string_view>

#include "common/base/error.h"
#include "common/models/weights/names.h"
#include "common/models/weights/torch_container.h"
#include "common/models/weights/torch_file.h"
#include "tests/faults/shards.h"
#include "tests/fuzz/cases.h"
#include "tests/fuzz/target.h"
#include "tests/support/zip_bytes.h"

FUZZ_TARGET(torch_file) {
  using namespace vitrine;
  static testing::MemoryFile memory;
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  const bool pickle = testing::take_byte(rest) % 2 == 1;
  memory.hold(pickle ? testing::zip_bytes({{"x/data.pkl", std::string(rest)}, {"x/data/0", std::string(64, '\1')}})
                     : std::string(rest));
  const auto file = std::make_shared<const MappedFile>(memory.path());
  if (!TorchContainer::is_container(file->bytes())) return 0;
  try {
    std::vector<std::string> notes;
    with_timm_names(read_torch_file(file, "fuzz", notes), "fuzz", notes);
  } catch (const Error&) {
  }
  return 0;
}
