#include "common/image/views.h"

#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <utility>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/hash.h"
#include "common/image/decode.h"
#include "common/image/transform.h"

namespace vitrine {
namespace {

using Picture = std::span<std::uint8_t>;

void mix_up(Picture own, std::span<const std::uint8_t> other, std::uint32_t lambda) {
  for (std::size_t i = 0; i < own.size(); ++i) own[i] = mix_bytes(own[i], other[i], lambda);
}

void cut_mix(Picture own, std::span<const std::uint8_t> other, const Recipe& recipe, int size, int teacher_size) {
  const auto edge = [&](int value) { return static_cast<std::size_t>(scale_edge(value, teacher_size, size)); };
  const std::size_t left = edge(recipe.box_left), right = edge(recipe.box_right);
  for (std::size_t y = edge(recipe.box_top); y < edge(recipe.box_bottom); ++y) {
    const std::size_t row = y * static_cast<std::size_t>(size);
    std::copy(other.data() + (row + left) * 3, other.data() + (row + right) * 3, own.data() + (row + left) * 3);
  }
}

void check(const Recipe& recipe, std::size_t views, std::uint32_t teacher_size) {
  if (recipe.mix == Mix::kNone) return;
  const bool box_inside = recipe.mix != Mix::kCutMix ||  // of no meaning elsewhere
                          (recipe.box_top <= recipe.box_bottom && recipe.box_left <= recipe.box_right &&
                           recipe.box_bottom <= teacher_size && recipe.box_right <= teacher_size);
  if (recipe.partner >= views || !box_inside)
    throw std::logic_error("ViewMaker: a recipe's partner or box lies outside its group or picture");
}

}  // namespace

ViewMaker::ViewMaker(ImageFolders folders, std::shared_ptr<const ImageIndex> index, std::uint32_t teacher_size)
    : folders_(std::move(folders)), index_(std::move(index)), teacher_size_(teacher_size) {
  if (teacher_size_ < 1) throw std::logic_error("ViewMaker: the teacher's pictures have no pixels");
}

Image ViewMaker::picture(std::uint32_t image) const {
  const ImageEntry& entry = index_->images.at(image);
  const std::string content = read_file(folders_.file(entry.id));
  const auto bytes = std::as_bytes(std::span(content));
  if (bytes.size() != entry.file_bytes || xxh3(bytes) != entry.hash)
    fail(
        "the image ", entry.id, " below ", folders_.words(),
        " is not the file that the index was made from; give the folder of that time, or make a new cache of this one");
  Image picture = decode_image(bytes, entry.id);
  if (static_cast<std::uint32_t>(picture.height) != entry.height ||
      static_cast<std::uint32_t>(picture.width) != entry.width)
    fail("the image ", entry.id, " has ", picture.height, " by ", picture.width, " pixels, but the index says ",
         entry.height, " by ", entry.width, "; make the index again");
  return picture;
}

std::vector<std::uint8_t> ViewMaker::group(std::span<const Recipe> recipes, int size) const {
  if (size < 1) throw std::logic_error("ViewMaker: pictures without pixels were asked for");
  const std::size_t bytes = static_cast<std::size_t>(size) * static_cast<std::size_t>(size) * 3;
  std::vector<std::uint8_t> plain(recipes.size() * bytes);

  std::vector<std::size_t> by_image(recipes.size());
  std::iota(by_image.begin(), by_image.end(), std::size_t{0});
  std::stable_sort(by_image.begin(), by_image.end(),
                   [&](std::size_t a, std::size_t b) { return recipes[a].image < recipes[b].image; });
  Image source;
  for (std::size_t i = 0; i < by_image.size(); ++i) {
    const Recipe& recipe = recipes[by_image[i]];
    if (i == 0 || recipe.image != recipes[by_image[i - 1]].image) source = picture(recipe.image);
    const Image view =
        crop_resize(source, recipe.top, recipe.left, recipe.height, recipe.width, size, size, recipe.flip != 0);
    std::copy(view.rgb.begin(), view.rgb.end(), plain.data() + by_image[i] * bytes);
  }

  std::vector<std::uint8_t> mixed = plain;
  for (std::size_t i = 0; i < recipes.size(); ++i) {
    const Recipe& recipe = recipes[i];
    check(recipe, recipes.size(), teacher_size_);
    const Picture own(mixed.data() + i * bytes, bytes);
    const std::span<const std::uint8_t> other(plain.data() + recipe.partner * bytes, bytes);
    if (recipe.mix == Mix::kMixUp) mix_up(own, other, recipe.lambda);
    if (recipe.mix == Mix::kCutMix) cut_mix(own, other, recipe, size, static_cast<int>(teacher_size_));
  }
  return mixed;
}

std::uint64_t picture_hash(std::span<const std::uint8_t> picture) {
  return xxh3(std::as_bytes(picture));
}

}  // namespace vitrine
