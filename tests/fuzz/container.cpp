// Files of a cache: containers, read to the end and through the reader of their kind, as they are and with checksums
// corrected; and JSON texts, by the format that they name.
#include <string>

#include "tests/faults/fuzz.h"
#include "tests/fuzz/target.h"

FUZZ_TARGET(container) {
  using namespace vitrine::testing;
  static const Surroundings surroundings(VITRINE_GOLDEN);
  static MemoryFile file;
  read_forged(surroundings, file, std::string(reinterpret_cast<const char*>(data), size));
  return 0;
}
