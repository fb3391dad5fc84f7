// A small cache and its pack.
#ifndef VITRINE_TESTS_TOOLS_PACK_PACKED_H_
#define VITRINE_TESTS_TOOLS_PACK_PACKED_H_

#include <map>
#include <string>

#include "tests/tools/inspect/damaged.h"
#include "tools/pack/pack.h"

namespace vitrine::testing {

inline std::map<std::string, std::string> files_of(const std::filesystem::path& directory) {
  std::map<std::string, std::string> out;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory))
    if (entry.is_regular_file())
      out[entry.path().lexically_relative(directory).generic_string()] = read_whole(entry.path());
  return out;
}

struct PackedCache : SampleCache {
  std::filesystem::path tar = root / "cache.tar", target = root / "unpacked";

  std::vector<PackedFile> contents(const TrackNames& names = {}, bool unfinished = false) const {
    return pack_contents(Cache(directory), names, unfinished);
  }
  PackManifest manifest() const { return manifest_of(plan.hash(), contents()); }
  Packed pack_as(const std::filesystem::path& out, const StopFlag& stop = never_stop()) const {
    const std::vector<PackedFile> files = contents();
    return pack(manifest_of(plan.hash(), files), files, out.string(), stop);
  }
  /// The bytes of the pack, which is written as `tar`.
  std::string packed() const {
    pack_as(tar);
    return read_whole(tar);
  }
  /// Nothing has the name `target`.
  bool is_nothing_there() const { return !std::filesystem::exists(std::filesystem::symlink_status(target)); }
};

}  // namespace vitrine::testing

#endif  // VITRINE_TESTS_TOOLS_PACK_PACKED_H_
