// hold_out: a share of each class folder validates, and every program splits alike.
#include "common/image/hold_out.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "common/base/error.h"
#include "common/image/scan.h"
#include "tests/support/testing.h"

using namespace vitrine;
using namespace vitrine::testing;

namespace {

std::vector<ImageEntry> files(std::initializer_list<std::pair<const char*, int>> classes) {
  std::vector<ImageEntry> out;
  std::uint32_t label = 0;
  for (const auto& [name, count] : classes) {
    for (int i = 0; i < count; ++i)
      out.push_back({.id = std::string(name) + "/" + std::to_string(i) + ".jpg", .label = label});
    ++label;
  }
  return out;
}

std::set<std::string> ids(const std::vector<ImageEntry>& entries) {
  std::set<std::string> out;
  for (const ImageEntry& entry : entries) out.insert(entry.id);
  return out;
}

std::vector<ImageEntry> side(std::vector<ImageEntry> entries, double share, bool held) {
  ImageFolders folders("photos");
  folders.hold_out = share;
  apply_hold_out(held ? folders.held() : folders, entries);
  return entries;
}

}  // namespace

TEST_CASE("hold_out: both sides together are all files, and no file is on both") {
  const auto all = files({{"ant", 10}, {"bee", 25}, {"cat", 4}});
  for (const double share : {0.05, 0.1, 0.25, 0.5}) {
    CAPTURE(share);
    const auto held = ids(side(all, share, true)), kept = ids(side(all, share, false));
    std::set<std::string> both = held;
    both.insert(kept.begin(), kept.end());
    CHECK(both == ids(all));
    CHECK(held.size() + kept.size() == all.size());
  }
}

TEST_CASE("hold_out: each class gives its rounded share") {
  std::map<std::string, int> count;
  for (const ImageEntry& entry : side(files({{"ant", 10}, {"bee", 25}, {"cat", 4}}), 0.2, true))
    ++count[entry.id.substr(0, 3)];
  CHECK(count == std::map<std::string, int>{{"ant", 2}, {"bee", 5}, {"cat", 1}});
}

TEST_CASE("hold_out: the split depends on names alone, not on labels or the order of listing") {
  auto all = files({{"ant", 30}, {"bee", 30}});
  const auto expected = ids(side(all, 0.3, true));
  for (ImageEntry& entry : all) entry.label = kNoLabel;
  std::ranges::reverse(all);
  CHECK(ids(side(all, 0.3, true)) == expected);
}

TEST_CASE("hold_out: photos of the unlabelled folder teach always") {
  auto all = files({{"ant", 10}});
  for (int i = 0; i < 10; ++i) all.push_back({.id = kUnlabelledPrefix + std::to_string(i), .label = kNoLabel});
  CHECK(side(all, 0.5, true).size() == 5);
  CHECK(side(all, 0.5, false).size() == 15);
}

TEST_CASE("hold_out: flat folders are one group") {
  std::vector<ImageEntry> all;
  for (int i = 0; i < 20; ++i) all.push_back({.id = std::to_string(i) + ".jpg", .label = kNoLabel});
  CHECK(side(all, 0.25, true).size() == 5);
}

TEST_CASE("hold_out: without a share nothing changes") {
  const auto all = files({{"ant", 3}});
  CHECK(side(all, 0, false) == all);
}

TEST_CASE("hold_out: a listing has one side, and a share that leaves nothing is refused") {
  const TemporaryDirectory root;
  for (const char* name : {"ant", "bee"})
    for (int i = 0; i < 4; ++i) write_whole(root / name / (std::to_string(i) + ".jpg"), "x");
  ImageFolders folders(root.path());
  folders.hold_out = 0.25;
  CHECK(list_image_folder(folders).images.size() == 6);
  CHECK(list_image_folder(folders.held()).images.size() == 2);
  CHECK(folders.held().describe() == root.path().string() + " (the 25 % held out)");
  folders.hold_out = 0.1;  // rounds to none of four
  CHECK(list_image_folder(folders).images.size() == 8);
  CHECK_THROWS_WITH_AS(list_image_folder(folders.held()), doctest::Contains("holds out none of its files"), Error);
}

TEST_CASE("hold_out: a cache is used with the share that it was made with") {
  CHECK_NOTHROW(check_hold_out("cache", std::nullopt, 0.1));
  CHECK_NOTHROW(check_hold_out("cache", 0.1, 0.1));
  CHECK_THROWS_WITH_AS(check_hold_out("cache", 0.1, 0),
                       doctest::Contains("was made with hold_out = 0.1, this run has 0; set hold_out = 0.1"), Error);
}
