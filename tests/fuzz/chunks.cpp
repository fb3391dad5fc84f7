// What recipes, an index and a basis say behind right checksums: content of chunks that no writer made is taken or
// refused with an Error.
#include <string>
#include <string_view>
#include <vector>

#include "tests/faults/fuzz.h"
#include "tests/fuzz/cases.h"
#include "tests/fuzz/target.h"

namespace {

using namespace vitrine;
using namespace vitrine::testing;

struct Original {
  explicit Original(const std::filesystem::path& path) : bytes(read_whole(path)), container(path) {}
  std::string bytes;
  Container container;
};

std::vector<Original> make_originals() {
  std::vector<Original> originals;
  for (const char* name : kChunkCases) originals.emplace_back(std::filesystem::path(VITRINE_GOLDEN) / name);
  return originals;
}

}  // namespace

FUZZ_TARGET(chunks) {
  static const std::vector<Original> originals = make_originals();
  static const Surroundings surroundings(VITRINE_GOLDEN);
  static MemoryFile file;
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  const Original& original = originals[take_byte(rest) % originals.size()];
  const Datasets& datasets = original.container.datasets();
  const std::size_t dataset = take_byte(rest) % datasets.size();
  std::string content(rest);
  content.resize(datasets[dataset].chunk_bytes());
  file.hold(with_chunk(original.bytes, dataset, 0, std::as_bytes(std::span(content))));
  surroundings.read(file.path());
  return 0;
}
