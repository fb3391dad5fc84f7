#include "tools/pack/unpack.h"

#include <algorithm>
#include <optional>
#include <set>
#include <system_error>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/hash.h"
#include "common/base/paths.h"
#include "common/base/progress.h"
#include "common/cache/cache.h"
#include "tools/pack/reader.h"
#include "tools/pack/streams.h"

namespace vitrine {
namespace {

namespace fs = std::filesystem;

std::uint64_t contents_bytes(const PackManifest& manifest) {
  std::uint64_t bytes = 0;
  for (const FileRecord& file : manifest.files()) bytes += file.bytes;
  return bytes;
}

// Where the cache will be. Throws if its directory could not be put in place once it is complete.
fs::path target_of(const fs::path& to) {
  if (to.empty()) fail("the directory to unpack to is empty; name one");
  const fs::path target = resolved_path(to);
  const auto refuse = [&](const char* what, const char* remedy) {
    throw Error(ErrorKind::kInput, {.path = to.string(), .what = what, .remedy = remedy});
  };
  if (target == target.root_path() || is_mount_point(target))
    refuse("is where a disk is mounted, and cannot be replaced", "name a directory in it, which is made");
  std::error_code failure;  // what cannot be examined cannot be made either, which is told then
  if (fs::symlink_status(target, failure).type() == fs::file_type::symlink)
    refuse("is a link to something that does not exist", "remove it, or choose another directory");
  return target;
}

bool has_size(const fs::path& path, std::uint64_t bytes) {
  return file_exists(path) && file_bytes(path) == bytes;
}

// Whether `to` was unpacked from this pack; throws if it is anything else that may not be replaced.
bool is_unpacked(const fs::path& to, const PackManifest& manifest) {
  if (!path_exists(to)) return false;
  if (directory_exists(to)) {
    if (list_directory(to).empty()) return false;
    const bool same = file_exists(to / kPackFile) && read_file(to / kPackFile) == manifest.json();
    if (same && std::ranges::all_of(manifest.files(),
                                    [&](const FileRecord& file) { return has_size(to / file.name, file.bytes); }))
      return true;
  }
  throw Error(
      ErrorKind::kInput,
      {.path = to.string(),
       .what = "exists, and is not what this pack was unpacked to",
       .remedy = "choose another directory; a track's directory may be copied from one cache of a plan to another"});
}

// Whether `staging`, which may not exist, was begun with this pack; throws if it holds anything else.
bool is_begun(const fs::path& staging, const PackManifest& manifest) {
  if (!path_exists(staging)) return false;
  const bool begun = file_exists(staging / kPackFile);
  if (begun && read_file(staging / kPackFile) == manifest.json()) return true;
  if (begun || std::ranges::any_of(list_directory(staging),
                                   [](const DirectoryEntry& entry) { return !is_temporary_name(entry.name); }))
    throw Error(ErrorKind::kInput, {.path = staging.string(),
                                    .what = begun ? "was begun with another pack" : "was not begun by this command",
                                    .remedy = "remove it, or choose another directory"});
  return false;
}

// Writes pack.json first, so that a later call knows which pack the directory was begun from.
void begin(const fs::path& staging, const PackManifest& manifest) {
  if (!is_begun(staging, manifest)) publish(staging / kPackFile, manifest.json());
}

void remove_temporary_files(const fs::path& staging, const PackManifest& manifest) {
  std::set<fs::path> directories;
  for (const FileRecord& file : manifest.files()) directories.insert((staging / file.name).parent_path());
  for (const fs::path& directory : directories) remove_abandoned(directory);
}

void read_into(const fs::path& path, PackReader& reader, ByteProgress& progress, const StopFlag& stop) {
  publish(path, [&](const fs::path& temporary) {
    OutputStream out(temporary);
    reader.read(
        [&](std::span<const std::byte> piece) {
          out.write(piece);
          progress.advance(piece.size());
        },
        stop);
  });
}

// Throws unless the directory is the cache that the pack says.
void expect_cache(const fs::path& directory, const PackManifest& manifest, const std::string& from) {
  const Cache cache(directory);
  if (!cache.bad_tracks().empty()) throw cache.bad_tracks().front().error;
  if (cache.plan().hash() != manifest.plan_hash())
    throw Error(ErrorKind::kCorrupt, {.path = from,
                                      .what = text("says that its plan is ", manifest.plan_hash().substr(0, 8),
                                                   ", but its plan.json is ", cache.plan().hash().substr(0, 8)),
                                      .remedy = "pack the cache again"});
}

PackCheck check_directory(const fs::path& directory, const StopFlag& stop) {
  const fs::path path = directory / kPackFile;
  if (!file_exists(path))
    throw Error(ErrorKind::kInput, {.path = directory.string(),
                                    .what = text("has no ", kPackFile),
                                    .remedy = "expected a directory that a pack was extracted to"});
  const PackManifest manifest = PackManifest::parse(read_file(path), path.string());
  PackCheck out{manifest.files().size(), contents_bytes(manifest), {}};
  ByteProgress progress("check", out.bytes);
  for (const FileRecord& file : manifest.files()) {
    throw_if_stopped(stop, "while checking");
    const fs::path at = directory / file.name;
    if (!file_exists(at)) {
      out.differences.push_back({file.name, "is missing"});
    } else if (const std::uint64_t bytes = file_bytes(at); bytes != file.bytes) {
      out.differences.push_back({file.name, text("has ", bytes, " bytes instead of ", file.bytes)});
    } else if (xxh3_of_file(at).hash != file.hash) {
      out.differences.push_back({file.name, "has other contents"});
    }
    progress.advance(file.bytes);
  }
  progress.finish();
  return out;
}

}  // namespace

Unpacked check_unpack(const std::string& from, const fs::path& to) {
  const fs::path target = target_of(to);
  InputStream in(from);
  PackReader reader(in);
  const PackManifest& manifest = reader.manifest();
  Unpacked out{manifest.files().size(), contents_bytes(manifest), 0};
  if (is_unpacked(target, manifest))
    out.kept = out.files;
  else
    is_begun(target.string() + kUnpackingEnd, manifest);  // throws
  return out;
}

Unpacked unpack(const std::string& from, const fs::path& to, const StopFlag& stop) {
  const fs::path target = target_of(to);
  InputStream in(from);
  PackReader reader(in);
  const PackManifest& manifest = reader.manifest();
  Unpacked out{manifest.files().size(), contents_bytes(manifest), 0};
  const fs::path staging = target.string() + kUnpackingEnd;
  if (is_unpacked(target, manifest)) {
    out.kept = out.files;
    return out;
  }
  make_directories(staging);
  const FileLock lock = lock_directory(staging);
  begin(staging, manifest);
  remove_temporary_files(staging, manifest);
  std::uint64_t there = 0;
  for (const FileRecord& file : manifest.files())
    if (has_size(staging / file.name, file.bytes)) there += file.bytes;
  ByteProgress progress("unpack", out.bytes, there);
  for (const FileRecord& file : manifest.files()) {
    if (has_size(staging / file.name, file.bytes)) {  // published, so its hash was right
      reader.skip(stop);
      ++out.kept;
    } else {
      read_into(staging / file.name, reader, progress, stop);
    }
  }
  reader.finish();
  progress.finish();
  expect_cache(staging, manifest, in.name());
  const bool replaces_here = same_file(target, ".");
  move_into_place(staging, target);
  if (replaces_here)
    note(text(target.string(), ": the working directory was replaced; a shell sees the cache after: cd ."));
  return out;
}

PackCheck check_pack(const std::string& from, const StopFlag& stop) {
  if (from != "-" && directory_exists(from)) return check_directory(from, stop);
  InputStream in(from);
  PackReader reader(in);
  const PackManifest& manifest = reader.manifest();
  PackCheck out{manifest.files().size(), contents_bytes(manifest), {}};
  ByteProgress progress("check", out.bytes);
  for (std::size_t i = 0; i < manifest.files().size(); ++i)
    reader.read([&](std::span<const std::byte> piece) { progress.advance(piece.size()); }, stop);
  reader.finish();
  progress.finish();
  return out;
}

}  // namespace vitrine
