#include "common/image/bad_pictures.h"

#include <algorithm>
#include <utility>

namespace vitrine {

BadPictures::BadPictures(BadImages policy, std::size_t images, double max_share)
    : policy_(policy), images_(images), max_share_(max_share) {}

void BadPictures::meet(std::uint32_t image, const ImageEntry& entry, const Error& error) {
  if (!is_of_a_picture(error)) throw error;
  if (policy_ == BadImages::kStop)
    throw Error(error.kind(), {.what = error.what(), .remedy = "or set bad_images = \"skip\" to continue without it"});
  keep(image, {entry.id, error.problem().what, LeftOutKind::kFailedLater});
}

void BadPictures::add(std::uint32_t image, LeftOut entry) {
  keep(image, std::move(entry));
}

void BadPictures::keep(std::uint32_t image, LeftOut entry) {
  const std::lock_guard lock(mutex_);
  const auto [place, is_new] = met_.emplace(image, std::move(entry));
  if (!is_new) return;
  if (tell_) tell_(place->second);
  constexpr std::size_t kAlways = 10;
  const auto most = static_cast<std::size_t>(max_share_ * static_cast<double>(images_));
  if (met_.size() > std::max(most, std::min(kAlways, images_ / 2)))
    throw Error(ErrorKind::kIo, {.what = text(met_.size(), " of ", images_,
                                              " images cannot be read, more than max_bad_share = ", max_share_,
                                              " allows; the last one: ", place->second.id, ": ", place->second.reason),
                                 .remedy = "check the folder and its disk, or raise max_bad_share"});
}

bool BadPictures::has(std::uint32_t image) const {
  const std::lock_guard lock(mutex_);
  return met_.contains(image);
}

std::vector<LeftOut> BadPictures::met() const {
  const std::lock_guard lock(mutex_);
  std::vector<LeftOut> out;
  for (const auto& [image, entry] : met_) out.push_back(entry);
  return out;
}

bool is_of_a_picture(const Error& error) {
  return error.kind() != ErrorKind::kMemory && error.kind() != ErrorKind::kInternal;
}

}  // namespace vitrine
