#include "tools/pack/reader.h"

#include <algorithm>
#include <vector>

#include "common/base/error.h"
#include "common/base/xxh3_stream.h"
#include "tools/pack/tar.h"

namespace vitrine {
namespace {

constexpr std::size_t kPieceBytes = 1 << 20;
constexpr std::uint64_t kMaxManifestBytes = 1 << 30;  // of some ten million files

[[noreturn]] void damaged(const InputStream& in, const std::string& what) {
  throw Error(ErrorKind::kCorrupt,
              {.path = in.name(), .what = what, .remedy = "the file is damaged; copy it again or pack again"});
}

[[noreturn]] void truncated(const InputStream& in, const std::string& of) {
  throw Error(ErrorKind::kCorrupt, {.path = in.name(),
                                    .what = text("ends at byte ", in.position(), ", within ", of),
                                    .remedy = "the file is truncated; copy it again"});
}

}  // namespace

// Grows with what arrives, so that a size that lies allocates nothing.
std::string PackReader::bytes(std::size_t count, const std::string& of) {
  std::string out;
  while (out.size() < count) {
    const std::size_t before = out.size(), piece = std::min(count - before, kPieceBytes);
    out.resize(before + piece);
    if (in_.read(std::as_writable_bytes(std::span(out).subspan(before))) < piece) truncated(in_, of);
  }
  return out;
}

PackReader::PackReader(InputStream& in) : in_(in) {
  std::string header(kTarBlock, '\0');
  header.resize(in_.read(std::as_writable_bytes(std::span(header))));
  if (header.empty())
    throw Error(ErrorKind::kInput, {.path = in_.name(), .what = "is empty", .remedy = "expected a pack"});
  const TarBlock said = header.size() == kTarBlock ? read_tar_block(header) : TarBlock{};
  if (said.bytes > kMaxManifestBytes || header != tar_header(kPackFile, said.bytes))
    throw Error(ErrorKind::kInput, {.path = in_.name(),
                                    .what = text("is not a pack: it does not begin with ", kPackFile),
                                    .remedy = "expected a file written by vitrine-cache pack"});
  const std::string json = bytes(said.bytes, kPackFile);
  manifest_.emplace(PackManifest::parse(json, text(in_.name(), ": ", kPackFile)));
  const std::string padding(tar_padding(json.size()), '\0');
  if (bytes(padding.size(), kPackFile) != padding) damaged(in_, text("has bytes behind ", kPackFile));
  const std::uint64_t expected = manifest_->tar_bytes();
  if (in_.size() && *in_.size() < expected)
    throw Error(ErrorKind::kCorrupt, {.path = in_.name(),
                                      .what = text("has ", *in_.size(), " of ", expected, " bytes"),
                                      .remedy = "the file is truncated; copy it again"});
  if (in_.size() && *in_.size() > expected)
    damaged(in_, text("has ", *in_.size(), " bytes, but its list of files makes ", expected));
}

void PackReader::expect_header() {
  const FileRecord& file = manifest_->files().at(next_);
  const std::string expected = tar_header(file.name, file.bytes);
  const std::uint64_t at = in_.position();
  const std::string found = bytes(expected.size(), "the header of " + file.name);
  if (found == expected) return;
  const TarBlock said = read_tar_block(std::string_view(found).substr(found.size() - kTarBlock));
  damaged(in_, text("at byte ", at, " expected the file ", file.name, " of ", file.bytes, " bytes, found ", said.what,
                    said.bytes > 0 ? text(" of ", said.bytes, " bytes") : ""));
}

void PackReader::read(const std::function<void(std::span<const std::byte>)>& take, const StopFlag& stop) {
  expect_header();
  const FileRecord& file = manifest_->files()[next_];
  Xxh3Stream hash;
  std::vector<std::byte> block(std::min<std::uint64_t>(kPieceBytes, file.bytes));
  for (std::uint64_t left = file.bytes; left > 0;) {
    throw_if_stopped(stop, "while reading a pack; run the same command again");
    const auto piece = std::span(block).first(std::min<std::uint64_t>(block.size(), left));
    if (in_.read(piece) < piece.size()) truncated(in_, file.name);
    hash.update(piece);
    take(piece);
    left -= piece.size();
  }
  if (hash.digest() != file.hash) damaged(in_, text("the contents of ", file.name, " do not match their hash"));
  const std::string padding(tar_padding(file.bytes), '\0');
  if (bytes(padding.size(), file.name) != padding) damaged(in_, text("has bytes behind ", file.name));
  ++next_;
}

void PackReader::skip(const StopFlag& stop) {
  if (!in_.size()) return read([](std::span<const std::byte>) {}, stop);
  expect_header();
  const std::uint64_t bytes = manifest_->files()[next_].bytes;
  in_.skip(bytes + tar_padding(bytes));
  ++next_;
}

void PackReader::finish() {
  const std::string end(kTarEndBytes, '\0');
  const std::uint64_t at = in_.position();
  if (const std::string found = bytes(end.size(), "the end of the archive"); found != end)
    damaged(in_,
            text("at byte ", at, " expected the end of the archive, found ",
                 read_tar_block(std::string_view(found).substr(0, kTarBlock)).what, ", which its list does not name"));
  std::byte more;
  if (in_.read(std::span(&more, 1)) > 0) damaged(in_, "has bytes behind the end of the archive");
}

}  // namespace vitrine
