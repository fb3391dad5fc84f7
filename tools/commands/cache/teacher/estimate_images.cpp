#include "tools/commands/cache/teacher/estimate_images.h"

#include <tbb/parallel_for.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/philox.h"
#include "common/cache/cache.h"
#include "common/image/scan.h"
#include "common/plan/draw.h"

namespace vitrine {
namespace {

// State of a listed file.
enum class Look : std::uint8_t { kUnread, kImage, kOther };

std::shared_ptr<const ImageIndex> chosen(const ImageIndex& all, std::vector<std::uint32_t> images) {
  std::ranges::sort(images);
  auto index = std::make_shared<ImageIndex>();
  index->classes = all.classes;
  index->decoding = all.decoding;
  for (const std::uint32_t image : images) index->images.push_back(all.images[image]);
  return index;
}

// Reads files in the given order until `count` of them are images, and returns those.
std::vector<std::uint32_t> read_some(const ImageFolders& folders, const std::vector<std::uint32_t>& order,
                                     std::size_t count, ImageIndex& listed, std::vector<Look>& looks) {
  std::vector<std::uint32_t> images;
  for (std::size_t first = 0; first < order.size() && images.size() < count;) {
    const std::size_t end = std::min(order.size(), first + count - images.size());
    tbb::parallel_for(first, end, [&](std::size_t i) {
      const bool is_image = !read_image_entry(folders, listed.images[order[i]], listed.decoding);
      looks[order[i]] = is_image ? Look::kImage : Look::kOther;
    });
    for (; first < end; ++first)
      if (looks[order[first]] == Look::kImage) images.push_back(order[first]);
  }
  return images;
}

// The listed files without known non-images, and without the same share of the unread files.
std::shared_ptr<const ImageIndex> guess(ImageIndex listed, const std::vector<Look>& looks, const ImageIndex& sample,
                                        double images_share, std::uint64_t seed) {
  const auto unread = static_cast<double>(std::ranges::count(looks, Look::kUnread));
  auto left = static_cast<std::uint64_t>(std::llround(unread * images_share));
  RandomStream draws(seed, Purpose::kSample, 1);
  auto index = std::make_shared<ImageIndex>();
  index->classes = std::move(listed.classes);
  index->decoding = listed.decoding;
  for (std::size_t i = 0; i < looks.size(); ++i) {
    ImageEntry& entry = listed.images[i];
    if (looks[i] == Look::kOther || (looks[i] == Look::kUnread && left == 0)) continue;
    if (looks[i] == Look::kUnread) {
      const ImageEntry& like = sample.images[draws.below(sample.images.size())];
      entry.height = like.height, entry.width = like.width, entry.file_bytes = like.file_bytes;
      entry.hash = std::uint64_t{draws.bits()} << 32 | draws.bits();
      --left;
    }
    index->images.push_back(std::move(entry));
  }
  return index;
}

}  // namespace

EstimateImages estimate_images(const ImageFolders& folders, const Decoding& decoding,
                               const std::filesystem::path& cache, std::size_t count, std::uint64_t seed) {
  const std::filesystem::path made = cache / "index.h5";
  EstimateImages out;
  out.indexed = !cache.empty() && path_exists(made);
  ImageIndex all = out.indexed ? read_index(made) : list_image_folder(folders);
  if (!out.indexed) all.decoding = decoding;
  std::vector<std::uint32_t> order(all.images.size());
  std::iota(order.begin(), order.end(), 0u);
  shuffle(order, RandomStream(seed, Purpose::kSample));
  if (out.indexed) {
    order.resize(std::min(order.size(), count));
    out.sample = chosen(all, order);
    out.all = std::make_shared<const ImageIndex>(std::move(all));
    return out;
  }
  std::vector<Look> looks(all.images.size(), Look::kUnread);
  const std::vector<std::uint32_t> images = read_some(folders, order, count, all, looks);
  out.unreadable = static_cast<std::uint64_t>(std::ranges::count(looks, Look::kOther));
  if (images.empty())
    fail("below ", folders.describe(), " none of ", looks.size(),
         " files is a readable image; JPEG, PNG and WebP files ", "are expected there");
  out.sample = chosen(all, images);
  const auto found = static_cast<double>(images.size());
  out.all = guess(std::move(all), looks, *out.sample, found / (found + static_cast<double>(out.unreadable)), seed);
  return out;
}

}  // namespace vitrine
