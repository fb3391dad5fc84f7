// A pack: any bytes are read to the end or give an Error. The first byte chooses whether the rest is the whole tar, or
// a list of files up to a zero byte, whose check and size are corrected, and the members behind it.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string>

#include "common/base/error.h"
#include "common/base/hash.h"
#include "common/cache/track.h"
#include "tests/fuzz/cases.h"
#include "tests/fuzz/target.h"
#include "tools/pack/reader.h"
#include "tools/pack/tar.h"

namespace {

using namespace vitrine;

std::string with_right_head(std::string_view rest) {
  const std::size_t end = std::min(rest.find('\0'), rest.size());
  const std::string json = with_check(std::string(rest.substr(0, end)) + "\n}\n");
  rest.remove_prefix(std::min(rest.size(), end + 1));
  return tar_header(kPackFile, json.size()) + json + std::string(tar_padding(json.size()), '\0') + std::string(rest);
}

}  // namespace

FUZZ_TARGET(pack) {
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  const bool made_right = testing::take_byte(rest) % 2 == 1;
  const std::string tar = made_right ? with_right_head(rest) : std::string(rest);
  const int descriptor = ::memfd_create("pack", 0);
  if (descriptor < 0 || ::write(descriptor, tar.data(), tar.size()) != static_cast<ssize_t>(tar.size())) std::abort();
  try {
    InputStream in("/proc/self/fd/" + std::to_string(descriptor));
    PackReader reader(in);
    for (const FileRecord& file : reader.manifest().files()) {
      std::string contents;
      reader.read(
          [&](std::span<const std::byte> piece) {
            contents.append(reinterpret_cast<const char*>(piece.data()), piece.size());
          },
          never_stop());
      if (!is_pack_path(file.name) || contents.size() != file.bytes || xxh3(contents) != file.hash) std::abort();
    }
    reader.finish();
    if (in.position() != tar.size() || reader.manifest().tar_bytes() != tar.size()) std::abort();
  } catch (const Error&) {
  }
  ::close(descriptor);
  return 0;
}
