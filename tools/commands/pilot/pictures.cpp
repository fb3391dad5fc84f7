#include "tools/commands/pilot/pictures.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>
#include <system_error>
#include <utility>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/hash.h"
#include "common/base/paths.h"
#include "common/image/look.h"

namespace vitrine {
namespace {

namespace fs = std::filesystem;

// `count` in all, one after the other to each that has not yet reached its limit.
std::vector<std::uint64_t> spread(const std::vector<std::uint64_t>& limits, std::uint64_t count) {
  std::vector<std::uint64_t> out(limits.size(), 0);
  for (bool any = true; any && count > 0;) {
    any = false;
    for (std::size_t i = 0; i < limits.size() && count > 0; ++i) {
      if (out[i] >= limits[i]) continue;
      ++out[i], --count, any = true;
    }
  }
  return out;
}

std::uint64_t drawn_hash(std::uint64_t seed, const std::string& name) {
  return xxh3(text(seed, ':', name));
}

void link_to(const fs::path& file, const fs::path& link) {
  make_directories(link.parent_path());
  std::error_code failure;
  fs::create_symlink(file, link, failure);
  if (failure)
    fail_system(failure.value(), link.string(), "cannot be made as a link",
                "choose --out on a disk that has symbolic links");
}

}  // namespace

std::vector<PictureShares> shares_of(std::span<const std::uint64_t> files, std::uint64_t teaching,
                                     std::uint64_t held_out) {
  std::vector<std::uint64_t> limits;
  const std::uint64_t all = std::max<std::uint64_t>(1, teaching + held_out);
  for (const std::uint64_t count : files)
    limits.push_back(count < 2 ? 0 : std::max<std::uint64_t>(1, count * held_out / all));
  const std::vector<std::uint64_t> scoring = spread(limits, held_out);
  for (std::size_t i = 0; i < limits.size(); ++i) limits[i] = files[i] - scoring[i];
  const std::vector<std::uint64_t> learning = spread(limits, teaching);
  std::vector<PictureShares> out;
  for (std::size_t i = 0; i < limits.size(); ++i) out.push_back({learning[i], scoring[i]});
  return out;
}

PictureDraw::PictureDraw(const ImageFolders& folders, std::uint64_t seed)
    : folders_(folders), index_(list_image_folder(folders)), order_(index_.classes.size()) {
  std::iota(order_.begin(), order_.end(), 0);
  std::ranges::sort(order_, {}, [&](std::uint32_t label) {
    return std::pair(drawn_hash(seed, index_.classes[label] + "/"), index_.classes[label]);
  });
  std::vector<std::vector<std::pair<std::uint64_t, std::uint32_t>>> ranked(order_.size());
  for (std::uint32_t i = 0; i < index_.images.size(); ++i)
    ranked.at(index_.images[i].label).emplace_back(drawn_hash(seed, index_.images[i].id), i);
  for (const std::uint32_t label : order_) {
    std::ranges::sort(ranked[label]);  // images are in the order of their ids
    std::vector<std::uint32_t>& images = images_.emplace_back();
    for (const auto& [hash, image] : ranked[label]) images.push_back(image);
  }
}

std::vector<PictureShares> PictureDraw::shares(std::uint64_t teaching, std::uint64_t held_out) const {
  std::vector<std::uint64_t> files;
  for (const auto& images : images_) files.push_back(images.size());
  return shares_of(files, teaching, held_out);
}

PictureShares PictureDraw::total(std::uint64_t teaching, std::uint64_t held_out) const {
  PictureShares out;
  for (const PictureShares& one : shares(teaching, held_out))
    out.teaching += one.teaching, out.held_out += one.held_out;
  return out;
}

PictureShares PictureDraw::link(const fs::path& train, const fs::path& held_out, std::uint64_t teaching,
                                std::uint64_t scoring, const Decoding& decoding, const StopFlag& stop) const {
  const std::vector<PictureShares> shares = this->shares(teaching, scoring);
  const fs::path from = path_from_root(folders_.images);
  PictureShares out;
  for (std::size_t c = 0; c < order_.size(); ++c) {
    for (const fs::path& folder : {train, held_out}) make_directories(folder / index_.classes[order_[c]]);
    PictureShares linked;
    for (const std::uint32_t image : images_[c]) {
      throw_if_stopped(stop, "while pictures were drawn");
      const bool scores = linked.held_out < shares[c].held_out;
      if (!scores && linked.teaching >= shares[c].teaching) break;
      ImageEntry entry = index_.images[image];
      if (look_at(folders_, entry, IndexDepth::kHeaders, decoding).left_out) continue;
      link_to(from / entry.id, (scores ? held_out : train) / entry.id);
      ++(scores ? linked.held_out : linked.teaching);
    }
    out.teaching += linked.teaching, out.held_out += linked.held_out;
  }
  return out;
}

}  // namespace vitrine
