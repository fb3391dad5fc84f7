#include "tools/inspect/file_check.h"

#include "common/base/error.h"

namespace vitrine {

std::vector<FileFault> check_frames(const Container& file, Container::Scratch& scratch) {
  std::vector<FileFault> faults;
  std::vector<std::byte> rows;
  for (std::size_t d = 0; d < file.datasets().size(); ++d) {
    const DatasetInfo& info = file.datasets()[d];
    rows.resize(info.chunk_bytes());
    for (std::uint64_t chunk = 0; chunk < info.chunk_count; ++chunk) try {
        file.read_chunk(d, chunk, scratch, rows);
      } catch (const Error& error) {
        faults.push_back({info.name, static_cast<std::int64_t>(chunk), error.problem().what, error.kind()});
      }
  }
  return faults;
}

void expect_whole(const Container& file) {
  Container::Scratch scratch;
  const std::vector<FileFault> faults = check_frames(file, scratch);
  const std::optional<FileFault> fault = faults.empty() ? check_hdf5(file) : faults.front();
  if (!fault) return;
  throw Error(fault->kind, {.path = file.path().string(),
                            .dataset = fault->dataset,
                            .group = fault->group,
                            .what = fault->what,
                            .remedy = "run vitrine-cache repair on its cache, or copy it again"});
}

}  // namespace vitrine
