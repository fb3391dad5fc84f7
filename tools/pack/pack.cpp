#include "tools/pack/pack.h"

#include <algorithm>

#include "common/base/error.h"
#include "common/base/progress.h"
#include "common/base/xxh3_stream.h"
#include "tools/pack/streams.h"
#include "tools/pack/tar.h"

namespace vitrine {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kBlockBytes = 1 << 20;
constexpr std::uint64_t kSyncBytes = 256 << 20;

// The number of members, from the first, behind which a pack is synchronised: a function of the layout.
std::vector<std::size_t> sync_points(const PackManifest& manifest) {
  std::vector<std::size_t> points;
  std::uint64_t last = 0;
  for (std::size_t i = 1; i <= manifest.files().size(); ++i) {
    if (manifest.offset(i) - last < kSyncBytes) continue;
    points.push_back(i);
    last = manifest.offset(i);
  }
  return points;
}

// Whether a file begins with the bytes `expected`, from `offset` on.
bool has_bytes(const ReadableFile& file, std::uint64_t offset, std::string_view expected) {
  if (file.size() < offset + expected.size()) return false;
  std::string bytes(expected.size(), '\0');
  file.read(offset, std::as_writable_bytes(std::span(bytes)));
  return bytes == expected;
}

// Whether member `i` stands whole in an unfinished pack.
bool has_member(const ReadableFile& file, const PackManifest& manifest, std::size_t i) {
  const FileRecord& record = manifest.files()[i];
  const std::string header = tar_header(record.name, record.bytes);
  if (file.size() < manifest.offset(i + 1) || !has_bytes(file, manifest.offset(i), header)) return false;
  Xxh3Stream hash;
  std::vector<std::byte> block(std::min<std::uint64_t>(kBlockBytes, record.bytes));
  std::uint64_t offset = manifest.offset(i) + header.size();
  for (std::uint64_t left = record.bytes; left > 0;) {
    const auto piece = std::span(block).first(std::min<std::uint64_t>(block.size(), left));
    file.read(offset, piece);
    hash.update(piece);
    offset += piece.size(), left -= piece.size();
  }
  return hash.digest() == record.hash && has_bytes(file, offset, std::string(tar_padding(record.bytes), '\0'));
}

// The number of members of an unfinished pack that are whole, or nullopt if it is of other files.
std::optional<std::size_t> whole_members(const fs::path& path, const PackManifest& manifest) {
  const ReadableFile file(path);
  if (!has_bytes(file, 0, manifest.head())) return std::nullopt;
  std::size_t whole = 0;
  // What lies behind a synchronisation point was written after it; a file that ends there may not have reached it.
  for (const std::size_t point : sync_points(manifest))
    if (manifest.offset(point) < file.size()) whole = point;
  while (whole < manifest.files().size() && has_member(file, manifest, whole)) ++whole;
  return whole;
}

class Writer {
 public:
  Writer(OutputStream& out, const PackManifest& manifest, std::uint64_t done, const StopFlag& stop)
      : out_(out), progress_("pack", manifest.tar_bytes(), done), stop_(stop) {}

  void write(std::string_view bytes) {
    out_.write(bytes);
    progress_.advance(bytes.size());
  }

  void write(const PackedFile& file) {
    write(tar_header(file.record.name, file.record.bytes));
    if (file.source.empty())
      write(file.text);
    else
      copy(file);
    write(std::string(tar_padding(file.record.bytes), '\0'));
  }

  void finish() {
    write(std::string(kTarEndBytes, '\0'));
    progress_.finish();
  }

 private:
  void copy(const PackedFile& file) {
    const auto refuse = [&](const std::string& what) {
      throw Error(ErrorKind::kCorrupt, {.path = file.source.string(),
                                        .what = what,
                                        .remedy = "run vitrine-cache verify, then repair, and pack again"});
    };
    const ReadableFile in(file.source);
    if (in.size() != file.record.bytes)
      refuse(text("has ", in.size(), " bytes, but ", file.record.bytes, " are recorded"));
    Xxh3Stream hash;
    std::vector<std::byte> block(std::min<std::uint64_t>(kBlockBytes, in.size()));
    for (std::uint64_t offset = 0; offset < in.size();) {
      if (stop_)
        throw Stopped(out_.is_standard_output() ? "stopped while packing"
                                                : "stopped while packing; run the same command again to resume");
      const auto piece = std::span(block).first(std::min<std::uint64_t>(block.size(), in.size() - offset));
      in.read(offset, piece);
      hash.update(piece);
      out_.write(piece);
      offset += piece.size();
      progress_.advance(piece.size());
    }
    if (hash.digest() != file.record.hash) refuse("differs from the hash that was recorded when it was written");
  }

  OutputStream& out_;
  ByteProgress progress_;
  const StopFlag& stop_;
};

}  // namespace

bool is_packed(const std::string& out, const PackManifest& manifest) {
  if (!path_exists(out)) return false;
  const ReadableFile file(out);
  if (file.size() == manifest.tar_bytes() && has_bytes(file, 0, manifest.head())) return true;
  throw Error(ErrorKind::kInput, {.path = out,
                                  .what = "exists, and is not the pack of this cache as it is now",
                                  .remedy = "remove it or choose another name"});
}

PackManifest manifest_of(const std::string& plan_hash, const std::vector<PackedFile>& files) {
  std::vector<FileRecord> records;
  for (const PackedFile& file : files) records.push_back(file.record);
  return {plan_hash, std::move(records)};
}

Packed pack(const PackManifest& manifest, const std::vector<PackedFile>& files, const std::string& out,
            const StopFlag& stop) {
  Packed packed{files.size(), manifest.tar_bytes(), 0};
  if (out == "-") {
    OutputStream stream;
    Writer writer(stream, manifest, 0, stop);
    writer.write(manifest.head());
    for (const PackedFile& file : files) writer.write(file);
    writer.finish();
    return packed;
  }
  if (is_packed(out, manifest)) {
    packed.resumed = packed.bytes;
    return packed;
  }
  const fs::path partial = out + kPackingEnd;
  OutputStream stream(partial);
  std::size_t done = 0;
  if (file_bytes(partial) > 0) {
    const std::optional<std::size_t> whole = whole_members(partial, manifest);
    if (!whole) note(text(partial.string(), ": is of other files than the cache has now; beginning again"));
    done = whole.value_or(0);
    packed.resumed = whole ? manifest.offset(done) : 0;
  }
  stream.truncate_and_seek(packed.resumed);
  Writer writer(stream, manifest, packed.resumed, stop);
  if (packed.resumed == 0) writer.write(manifest.head());
  const std::vector<std::size_t> points = sync_points(manifest);
  for (std::size_t i = done; i < files.size(); ++i) {
    writer.write(files[i]);
    if (std::ranges::binary_search(points, i + 1)) stream.sync();
  }
  writer.finish();
  stream.sync();
  move_into_place(partial, out);
  return packed;
}

}  // namespace vitrine
