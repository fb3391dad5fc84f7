#include "tools/commands/classify/pictures.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/image/decode.h"
#include "common/image/listing.h"

namespace vitrine {
namespace {

namespace fs = std::filesystem;

// Files that cannot be read count as pictures: reading them again will say why.
bool may_be_picture(const fs::path& path) {
  try {
    const ReadableFile file(path);
    std::array<std::byte, 12> head;
    const std::span<std::byte> first = std::span(head).first(std::min<std::uint64_t>(head.size(), file.size()));
    file.read(0, first);
    return begins_as_picture(first);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kMemory) throw;
    return true;
  }
}

void add_folder(const fs::path& folder, PictureList& out) {
  Listing listing = list_images(ImageFolders(folder, {}, Labels::kNone));
  for (LeftOut& entry : listing.left_out) {
    entry.id = (folder / entry.id).string();
    out.left_out.push_back(std::move(entry));
  }
  for (const ImageEntry& entry : listing.files) {
    const fs::path path = folder / entry.id;
    if (is_sidecar(path.filename().string()))
      out.left_out.push_back({path.string(), "a sidecar file", LeftOutKind::kSidecar});
    else if (!may_be_picture(path))
      out.left_out.push_back({path.string(), "is no JPEG, PNG or WebP file", LeftOutKind::kNotAPicture});
    else
      out.files.push_back(path);
  }
}

}  // namespace

PictureList list_pictures(const std::vector<std::string>& arguments) {
  PictureList out;
  for (const std::string& argument : arguments) {
    if (directory_exists(argument)) {
      add_folder(argument, out);
    } else if (argument.empty() || !path_exists(argument)) {
      throw Error(ErrorKind::kInput, {.path = argument.empty() ? "\"\"" : argument,
                                      .what = "does not exist",
                                      .remedy = "give pictures or folders of pictures"});
    } else {
      out.files.emplace_back(argument);
    }
  }
  if (out.files.empty()) {
    std::string folders;
    for (const std::string& argument : arguments) folders += (folders.empty() ? "" : ", ") + argument;
    fail(folders, ": has no pictures; expected JPEG, PNG or WebP files");
  }
  return out;
}

}  // namespace vitrine
