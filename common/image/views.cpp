#include "common/image/views.h"

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <thread>
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

// The whole picture in its box of a padded view, at the student's size.
void letterbox(const Image& source, const Recipe& recipe, int size, int teacher_size, Picture view) {
  struct Span {
    int begin, end;
  };
  const auto scaled = [&](int begin, int end) {
    const int first = std::min(scale_edge(begin, teacher_size, size), size - 1);
    return Span{first, std::max(scale_edge(end, teacher_size, size), first + 1)};
  };
  const Span rows = scaled(recipe.box_top, recipe.box_bottom), columns = scaled(recipe.box_left, recipe.box_right);
  const Image picture = crop_resize(source, recipe.top, recipe.left, recipe.height, recipe.width, rows.end - rows.begin,
                                    columns.end - columns.begin, recipe.flip != 0);
  for (std::size_t i = 0; i < view.size(); i += 3) std::copy_n(kPadding, 3, view.data() + i);
  for (int y = 0; y < picture.height; ++y)
    std::copy_n(picture.row(y), 3 * static_cast<std::size_t>(picture.width),
                view.data() + 3 * (static_cast<std::size_t>(rows.begin + y) * static_cast<std::size_t>(size) +
                                   static_cast<std::size_t>(columns.begin)));
}

void check(const Recipe& recipe, std::size_t views, std::uint32_t teacher_size) {
  if (recipe.mix == Mix::kNone && !is_letterboxed(recipe)) return;
  const bool box_inside = recipe.mix == Mix::kMixUp ||  // not used there
                          (recipe.box_top <= recipe.box_bottom && recipe.box_left <= recipe.box_right &&
                           recipe.box_bottom <= teacher_size && recipe.box_right <= teacher_size);
  if ((recipe.mix != Mix::kNone && recipe.partner >= views) || !box_inside)
    throw std::logic_error("ViewMaker: a recipe's partner is outside its group or its box outside the view");
}

// Marks the views whose own image is needed: by the view itself or by one that mixes it in.
std::vector<char> wanted_pictures(std::span<const Recipe> recipes) {
  std::vector<char> wanted(recipes.size(), 0);
  for (std::size_t i = 0; i < recipes.size(); ++i) {
    if (is_left_out(recipes[i])) continue;
    wanted[i] = 1;
    if (recipes[i].mix != Mix::kNone) wanted[recipes[i].partner] = 1;
  }
  return wanted;
}

// The views before mixing, [recipes.size(), size, size, 3]; black where not needed or where `read` returns no image.
// `missing`: set for the latter.
template <class Read>
std::vector<std::uint8_t> plain_views(std::span<const Recipe> recipes, int size, std::uint32_t teacher_size,
                                      const Read& read, std::vector<char>& missing) {
  const std::size_t bytes = static_cast<std::size_t>(size) * static_cast<std::size_t>(size) * 3;
  std::vector<std::uint8_t> plain(recipes.size() * bytes);
  const std::vector<char> wanted = wanted_pictures(recipes);
  std::vector<std::size_t> by_image;
  for (std::size_t i = 0; i < recipes.size(); ++i)
    if (wanted[i]) by_image.push_back(i);
  std::ranges::stable_sort(by_image, {}, [&](std::size_t i) { return recipes[i].image; });
  std::optional<Image> source;
  for (std::size_t i = 0; i < by_image.size(); ++i) {
    const Recipe& recipe = recipes[by_image[i]];
    if (i == 0 || recipe.image != recipes[by_image[i - 1]].image) source = read(recipe.image);
    if (!source) {
      missing[by_image[i]] = 1;
      continue;
    }
    const Picture place(plain.data() + by_image[i] * bytes, bytes);
    if (is_letterboxed(recipe)) {
      letterbox(*source, recipe, size, static_cast<int>(teacher_size), place);
      continue;
    }
    const Image view =
        crop_resize(*source, recipe.top, recipe.left, recipe.height, recipe.width, size, size, recipe.flip != 0);
    std::ranges::copy(view.rgb, place.begin());
  }
  return plain;
}

// plain_views() with mixing. `missing`: also set for views whose partner is missing.
template <class Read>
std::vector<std::uint8_t> mixed_views(std::span<const Recipe> recipes, int size, std::uint32_t teacher_size,
                                      const Read& read, std::vector<char>& missing) {
  if (size < 1) throw std::logic_error("ViewMaker: size is below 1");
  for (const Recipe& recipe : recipes) check(recipe, recipes.size(), teacher_size);
  const std::vector<std::uint8_t> plain = plain_views(recipes, size, teacher_size, read, missing);
  const std::size_t bytes = plain.size() / std::max<std::size_t>(recipes.size(), 1);
  const std::vector<char> own_missing = missing;
  std::vector<std::uint8_t> mixed = plain;
  for (std::size_t i = 0; i < recipes.size(); ++i) {
    const Recipe& recipe = recipes[i];
    const bool mixes = recipe.mix != Mix::kNone;
    const Picture own(mixed.data() + i * bytes, bytes);
    missing[i] = own_missing[i] || (mixes && own_missing[recipe.partner]);
    if (missing[i] || is_left_out(recipe)) {
      std::ranges::fill(own, std::uint8_t{0});
      continue;
    }
    if (!mixes) continue;
    const std::span<const std::uint8_t> other(plain.data() + recipe.partner * bytes, bytes);
    if (recipe.mix == Mix::kMixUp) mix_up(own, other, recipe.lambda);
    if (recipe.mix == Mix::kCutMix) cut_mix(own, other, recipe, size, static_cast<int>(teacher_size));
  }
  return mixed;
}

}  // namespace

void PictureTries::wait_before_try(int number) {
  std::this_thread::sleep_for(std::chrono::milliseconds(50 << 2 * std::min(number - 1, 3)));
}

ViewMaker::ViewMaker(ImageFolders folders, std::shared_ptr<const ImageIndex> index, std::uint32_t teacher_size,
                     std::shared_ptr<BadPictures> bad, PictureTries tries)
    : folders_(std::move(folders)),
      index_(std::move(index)),
      teacher_size_(teacher_size),
      bad_(std::move(bad)),
      tries_(std::move(tries)) {
  if (teacher_size_ < 1) throw std::logic_error("ViewMaker: teacher_size is below 1");
}

Image ViewMaker::read_once(std::uint32_t image) const {
  const ImageEntry& entry = index_->images.at(image);
  const auto refuse = [&] {
    throw Error(ErrorKind::kInput, {.path = folders_.path_of(entry.id),
                                    .what = "is not the file that the index was made from",
                                    .remedy = "give the folder of that time, or make a new cache of this one"});
  };
  const ReadableFile file(folders_.file(entry.id));
  if (file.size() != entry.file_bytes) refuse();
  std::vector<std::byte> bytes(file.size());
  file.read(0, bytes);
  if (xxh3(bytes) != entry.hash) refuse();
  Image picture = decode_image(bytes, entry.id, index_->decoding);
  if (static_cast<std::uint32_t>(picture.height) != entry.height ||
      static_cast<std::uint32_t>(picture.width) != entry.width)
    throw Error(ErrorKind::kInput, {.path = entry.id,
                                    .what = text("has ", picture.height, " by ", picture.width,
                                                 " pixels, but the index says ", entry.height, " by ", entry.width),
                                    .remedy = "make the index again"});
  return picture;
}

Image ViewMaker::picture(std::uint32_t image) const {
  folders_.file(index_->images.at(image).id);  // a missing folder option is not the image's fault; do not retry
  for (int number = 1;; ++number) {
    try {
      return read_once(image);
    } catch (const Error& error) {
      if (number >= tries_.tries || !is_of_a_picture(error)) throw;
    }
    tries_.pause(number);
  }
}

std::optional<Image> ViewMaker::picture_or_none(std::uint32_t image) const {
  folders_.file(index_->images.at(image).id);
  if (bad_ != nullptr && bad_->has(image)) return std::nullopt;
  try {
    return picture(image);
  } catch (const Error& error) {
    if (bad_ == nullptr) throw;
    bad_->meet(image, index_->images[image], error);
    return std::nullopt;
  }
}

std::vector<std::uint8_t> ViewMaker::group(std::span<const Recipe> recipes, int size) const {
  std::vector<char> missing(recipes.size(), 0);
  const auto read = [this](std::uint32_t image) { return std::optional(picture(image)); };
  return mixed_views(recipes, size, teacher_size_, read, missing);
}

std::vector<std::uint8_t> ViewMaker::group_or_mark(std::vector<Recipe>& recipes, int size) const {
  std::vector<char> missing(recipes.size(), 0);
  const auto read = [this](std::uint32_t image) { return picture_or_none(image); };
  std::vector<std::uint8_t> views = mixed_views(recipes, size, teacher_size_, read, missing);
  for (std::size_t i = 0; i < recipes.size(); ++i)
    if (missing[i]) recipes[i].flags |= kViewLeftOut;
  return views;
}

std::uint64_t picture_hash(std::span<const std::uint8_t> picture) {
  return xxh3(std::as_bytes(picture));
}

std::optional<std::size_t> hashed_view(std::span<const Recipe> recipes, std::uint32_t group) {
  for (std::size_t i = 0; i < recipes.size(); ++i)
    if (const std::size_t at = (group + i) % recipes.size(); !is_left_out(recipes[at])) return at;
  return std::nullopt;
}

std::uint64_t hash_of_group(std::span<const Recipe> recipes, std::uint32_t group,
                            std::span<const std::uint8_t> pictures) {
  const std::optional<std::size_t> at = hashed_view(recipes, group);
  const std::size_t bytes = pictures.size() / std::max<std::size_t>(recipes.size(), 1);
  return at ? picture_hash(pictures.subspan(*at * bytes, bytes)) : 0;
}

}  // namespace vitrine
