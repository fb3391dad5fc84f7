#include "common/image/scan.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/error.h"
#include "common/image/exif.h"
#include "common/image/left_out.h"
#include "common/image/look.h"
#include "common/image/outside_images.h"
#include "common/image/scan_report.h"
#include "common/image/views.h"
#include "common/image/write.h"
#include "tests/image/samples.h"
#include "tests/support/message.h"
#include "tests/support/testing.h"

using namespace vitrine;
using vitrine::testing::as_string;
using vitrine::testing::gradient;
using vitrine::testing::has;
using vitrine::testing::read_whole;
using vitrine::testing::TemporaryDirectory;
using vitrine::testing::write_whole;

TEST_CASE("scanning a folder of class folders lists its images and what is left out") {
  const TemporaryDirectory root;
  const std::string jpeg = as_string(encode_jpeg(gradient(20, 30), 90)), png = as_string(encode_png(gradient(5, 6)));
  write_whole(root / "dog/b.jpg", jpeg);
  write_whole(root / "dog/a.JPEG", png);
  write_whole(root / "cat/deep/x.png", png);
  write_whole(root / "cat/cut.jpg", jpeg.substr(0, jpeg.size() / 2));
  write_whole(root / "cat/notes.txt", "not an image");
  write_whole(root / "cat/.hidden.jpg", jpeg);
  write_whole(root / "dog/caf\xE9.jpg", jpeg);      // Latin-1
  write_whole(root / "dog/caf\xC3\xA9.jpg", jpeg);  // UTF-8
  write_whole(root / "not_in_a_class.jpg", jpeg);
  std::filesystem::create_directories(root / "bird");

  std::vector<LeftOut> left_out;
  const ImageIndex index = scan_image_folder(root.path(), &left_out);
  CHECK(index.classes == std::vector<std::string>{"bird", "cat", "dog"});
  REQUIRE(index.images.size() == 4);
  CHECK(index.images[0].id == "cat/deep/x.png");
  CHECK(index.images[0].label == 1);
  CHECK(index.images[0].height == 5);
  CHECK(index.images[0].width == 6);
  CHECK(index.images[1].id == "dog/a.JPEG");
  CHECK(index.images[2].id == "dog/b.jpg");
  CHECK(index.images[2].label == 2);
  CHECK(index.images[2].height == 20);
  CHECK(index.images[2].file_bytes == jpeg.size());
  CHECK(index.images[0].hash == index.images[1].hash);
  CHECK(index.images[1].hash != index.images[2].hash);
  CHECK(index.images[3].id == "dog/caf\xC3\xA9.jpg");

  REQUIRE(left_out.size() == 6);
  CHECK(left_out[0].id == "bird/");
  CHECK(left_out[0].kind == LeftOutKind::kEmptyClass);
  CHECK(left_out[0].reason == "holds no readable image");
  CHECK(left_out[1].id == "cat/.hidden.jpg");
  CHECK(left_out[1].kind == LeftOutKind::kHidden);
  CHECK(left_out[2].id == "cat/cut.jpg");
  CHECK(left_out[2].kind == LeftOutKind::kDamaged);
  CHECK(left_out[2].reason.starts_with("is a JPEG file that is damaged or cut short ("));
  CHECK(left_out[3].id == "cat/notes.txt");
  CHECK(left_out[3].kind == LeftOutKind::kSidecar);
  CHECK(left_out[3].reason == "is neither a JPEG nor a PNG nor a WebP file by its content");
  CHECK(left_out[4].id == "dog/caf\xE9.jpg");
  CHECK(left_out[4].kind == LeftOutKind::kBadName);
  CHECK(left_out[4].reason == "has a name that is not UTF-8");
  CHECK(left_out[5].id == "not_in_a_class.jpg");
  CHECK(left_out[5].kind == LeftOutKind::kOutsideClasses);
  CHECK(scan_image_folder(root.path(), nullptr) == index);

  // By the first bytes alone: all but the damaged one is known.
  const PictureListing heads = list_by_header(root.path());
  CHECK(heads.index.classes == index.classes);
  REQUIRE(heads.index.images.size() == 5);
  CHECK(heads.index.images[0] == ImageEntry{.id = "cat/cut.jpg", .label = 1});
  std::erase_if(left_out, [](const LeftOut& entry) { return entry.kind == LeftOutKind::kDamaged; });
  CHECK(heads.left_out == left_out);
  CHECK(empty_classes(left_out) == "1 class folder holds no readable image: bird");
  CHECK(vitrine::testing::message_of([&] {
          refuse_empty_classes(left_out, "photos");
        }).starts_with("photos: 1 class folder holds no readable image: bird; add images or remove the folders"));

  // While listing, and while reading one by one.
  ImageIndex listed = list_image_folder(root.path());
  CHECK(listed.classes == index.classes);
  REQUIRE(listed.images.size() == 6);  // not the name that is not UTF-8
  CHECK(listed.images[0] == ImageEntry{.id = "cat/cut.jpg", .label = 1});
  CHECK(listed.images[2].id == "cat/notes.txt");
  const std::optional<LeftOut> cut = read_image_entry(root.path(), listed.images[0], {});
  REQUIRE(cut.has_value());
  CHECK(cut->kind == LeftOutKind::kDamaged);
  CHECK(read_image_entry(root.path(), listed.images[2], {}) ==
        LeftOut{"cat/notes.txt", "is neither a JPEG nor a PNG nor a WebP file by its content", LeftOutKind::kSidecar});
  for (const int i : {1, 3, 4, 5}) {
    CHECK_FALSE(read_image_entry(root.path(), listed.images[i], {}).has_value());
    CHECK(std::ranges::find(index.images, listed.images[i]) != index.images.end());
  }
}

TEST_CASE("of many empty class folders some are named") {
  std::vector<LeftOut> left_out;
  for (const char* name : {"a/", "b/", "c/", "d/", "e/", "f/", "g/"})
    left_out.push_back({name, "holds no readable image", LeftOutKind::kEmptyClass});
  CHECK(empty_classes(left_out) == "7 class folders hold no readable image: a, b, c, d, e and 2 more");
  left_out = {{"a.txt", "", LeftOutKind::kSidecar}};
  CHECK(empty_classes(left_out).empty());
  CHECK_NOTHROW(refuse_empty_classes(left_out, "photos"));
}

TEST_CASE("a stop ends a scan, also one with a known index") {
  const TemporaryDirectory root;
  const std::string png = as_string(encode_png(gradient(5, 6)));
  for (const char* name : {"a/1.png", "a/2.png", "b/1.png"}) write_whole(root / name, png);
  const StopFlag asked{true};
  CHECK_THROWS_AS(scan_image_folder(root.path(), nullptr, asked), Stopped);
  const ImageIndex known = scan_image_folder(root.path(), nullptr);
  CHECK_THROWS_AS(scan_images(root.path(), {.stop = &asked}, KnownIndex{known}), Stopped);
}

TEST_CASE("images without labels come from any folder, flat or nested, alone or in addition to class folders") {
  const TemporaryDirectory root;
  const std::string jpeg = as_string(encode_jpeg(gradient(20, 30), 90)), png = as_string(encode_png(gradient(5, 6)));
  write_whole(root / "labelled/cat/a.jpg", jpeg);
  write_whole(root / "labelled/dog/b.png", png);
  write_whole(root / "further/c.png", png);
  write_whole(root / "further/deep/er/d.jpg", jpeg);
  write_whole(root / "further/.hidden/e.jpg", jpeg);
  write_whole(root / "further/notes.txt", "not an image");
  const ImageFolders alone(root / "further", {}, Labels::kNone), both(root / "labelled", root / "further");

  std::vector<LeftOut> left_out;
  ImageIndex index = scan_image_folder(alone, &left_out);
  CHECK(index.classes.empty());
  REQUIRE(index.images.size() == 2);
  CHECK(index.images[0].id == "c.png");
  CHECK(index.images[1].id == "deep/er/d.jpg");
  CHECK(index.images[1].label == kNoLabel);
  CHECK(index.labelled() == 0);
  CHECK(index.describe() == "2 images without labels");
  REQUIRE(left_out.size() == 2);
  CHECK(left_out[0].id == ".hidden/");
  CHECK(left_out[1].id == "notes.txt");
  // Without labels, class folders are ordinary folders.
  CHECK(scan_image_folder({root / "labelled", {}, Labels::kNone}, nullptr).images[0].id == "cat/a.jpg");

  index = scan_image_folder(both, &left_out);
  CHECK(index.classes == std::vector<std::string>{"cat", "dog"});
  REQUIRE(index.images.size() == 4);
  CHECK(index.images[0].id == ".unlabelled/c.png");
  CHECK(index.images[1].id == ".unlabelled/deep/er/d.jpg");
  CHECK(index.images[1].label == kNoLabel);
  CHECK(index.images[3].id == "dog/b.png");
  CHECK(index.images[3].label == 1);
  CHECK(index.labelled() == 2);
  CHECK(index.describe() == "4 images in 2 classes, 2 of them without a label");
  REQUIRE(left_out.size() == 2);
  CHECK(left_out[0].id == ".unlabelled/.hidden/");
  CHECK(left_out[1].id == ".unlabelled/notes.txt");
  CHECK(scan_images(both, {}, KnownIndex{index}).index == index);

  // Each is read from its own folder; if that folder is not given, the image is named.
  const auto shared = std::make_shared<const ImageIndex>(index);
  const ViewMaker views(both, shared, 32);
  CHECK(views.picture(1).width == 30);
  CHECK(views.picture(3).width == 6);
  const ViewMaker half(root / "labelled", shared, 32);
  CHECK(half.picture(3).width == 6);
  CHECK_THROWS_WITH_AS(half.picture(1), doctest::Contains("deep/er/d.jpg is in the unlabelled folder"), Error);

  const auto message = [](const ImageFolders& folders) -> std::string {
    try {
      scan_image_folder(folders, nullptr);
    } catch (const Error& error) {
      return error.what();
    }
    return {};
  };
  CHECK(
      has(message({root / "labelled", root / "absent"}), "absent: does not exist; choose a folder that holds images"));
  CHECK(has(message({root / "labelled", root / "labelled/cat"}), "overlap; choose separate folders"));
  CHECK(has(message({root / "labelled", root.path()}), "overlap; choose separate folders"));
  CHECK(has(message({root / "labelled", root / "labelled"}), "overlap; choose separate folders"));
  CHECK(has(message(root / "further/deep"), "labels = \"none\""));
  std::filesystem::create_directories(root / "empty");
  CHECK(has(message({root / "labelled", root / "empty"}), "empty holds no readable image"));
  CHECK(has(message({root / "empty", {}, Labels::kNone}), "empty holds no readable image"));
}

TEST_CASE("a rescan checks names, sizes and a sample against a known index, and reports changes") {
  const TemporaryDirectory root;
  constexpr std::size_t kImages = 600;
  const std::string jpeg = as_string(encode_jpeg(gradient(8, 9), 90)), png = as_string(encode_png(gradient(5, 6)));
  const auto path_of = [](std::size_t i) {
    return std::string(i % 2 == 0 ? "cat/" : "dog/") + std::to_string(1000 + i) + ".jpg";
  };
  for (std::size_t i = 0; i < kImages; ++i) write_whole(root / path_of(i), jpeg + std::to_string(1000 + i));
  write_whole(root / "cat/notes.txt", "not an image");
  const ImageIndex index = scan_image_folder(root.path(), nullptr);
  REQUIRE(index.images.size() == kImages);
  const auto again = [&](VerifyImages verify) {
    return scan_images(root.path(), {.verify = verify}, KnownIndex{index}).index;
  };
  CHECK(again(VerifyImages::kSample) == index);
  CHECK(again(VerifyImages::kAll) == index);
  const std::vector<LeftOut> left_out = scan_images(root.path(), {}, KnownIndex{index}).left_out;
  REQUIRE(left_out.size() == 1);
  CHECK(left_out[0].id == "cat/notes.txt");

  // 256 of 600: 0, 2, 4, 7, ...; the second entry is not among them.
  const std::vector<std::size_t> sample = verified_sample(kImages);
  REQUIRE(sample.size() == 256);
  CHECK(sample[0] == 0);
  CHECK(sample[1] == 2);
  CHECK(sample.back() >= kImages - 3);
  const auto damage = [&](std::size_t entry) {  // other contents, equal size
    const std::filesystem::path file = root.path() / index.images[entry].id;
    std::string bytes = read_whole(file);
    bytes.back() = bytes.back() == '!' ? '?' : '!';
    const std::string before = read_whole(file);
    write_whole(file, bytes);
    return before;
  };
  const std::string unseen = damage(1);
  CHECK(again(VerifyImages::kSample) == index);
  CHECK_FALSE(again(VerifyImages::kAll) == index);
  write_whole(root.path() / index.images[1].id, unseen);
  const std::string seen = damage(sample[100]);
  ImageIndex found = again(VerifyImages::kSample);
  CHECK_FALSE(found == index);
  CHECK(found.images[sample[100]].hash != index.images[sample[100]].hash);
  write_whole(root.path() / index.images[sample[100]].id, seen);
  CHECK(again(VerifyImages::kSample) == index);

  // Another size, a new image, a removed image, one moved to another class.
  write_whole(root.path() / index.images[1].id, png);
  found = again(VerifyImages::kSample);
  CHECK(found.images[1].height == 5);
  write_whole(root.path() / index.images[1].id, unseen);
  write_whole(root / "cat/new.png", png);
  CHECK(again(VerifyImages::kSample).images.size() == kImages + 1);
  std::filesystem::remove(root / "cat/new.png");
  std::filesystem::rename(root.path() / index.images[1].id, root / "dog/moved.jpg");
  found = again(VerifyImages::kSample);
  CHECK(found.images.size() == kImages);
  CHECK(found.images.back().id == "dog/moved.jpg");
  CHECK(found.images.back().label == 1);
}

TEST_CASE("what an index was made without stays out of it, whatever characters its name has") {
  const TemporaryDirectory root, beside;
  const std::string jpeg = as_string(encode_jpeg(gradient(20, 30), 90)), id = "cat/a\tb\n\\n.jpg";
  write_whole(root / "cat/a.jpg", jpeg);
  write_whole(root / "dog/a.jpg", jpeg);
  write_whole(root / id, jpeg.substr(0, jpeg.size() / 2));
  const FolderScan first = scan_images(root.path(), {});
  REQUIRE(first.left_out.size() == 1);
  write_left_out(beside / "list", first.left_out);
  write_whole(root / id, jpeg);
  const FolderScan second =
      scan_images(root.path(), {}, KnownIndex{.index = first.index, .left_out = read_left_out(beside / "list")});
  CHECK(second.index == first.index);
  REQUIRE(second.left_out.size() == 1);
  CHECK(second.left_out[0].id == id);
  CHECK(second.left_out[0].kind == LeftOutKind::kNotInIndex);
}

TEST_CASE("only images count as examined") {
  const TemporaryDirectory root;
  const std::string jpeg = as_string(encode_jpeg(gradient(20, 30), 90));
  for (const char* name : {"1.txt", "2.txt", "3.txt"}) write_whole(root / name, "not an image");
  write_whole(root / "a.jpg", jpeg);
  write_whole(root / "cut.jpg", jpeg.substr(0, jpeg.size() / 2));
  const ImageFolders folder{root.path(), {}, Labels::kNone};
  const FolderScan found = scan_images(folder, {});
  CHECK(found.counts.looked_at == 1);
  CHECK(scan_images(folder, {}, KnownIndex{found.index}).counts.looked_at == 1);
}

TEST_CASE("of a folder that lost its images each is listed once, however many there are") {
  const TemporaryDirectory root;
  const std::string png = as_string(encode_png(gradient(5, 6)));
  for (const char* id : {"cat/1.png", "dog/1.png"}) write_whole(root / id, png);
  ImageIndex known = scan_image_folder(root.path(), nullptr);
  constexpr int kHidden = 5000, kGone = 400000;  // too many to compare each with each
  for (int i = 0; i < kHidden; ++i)              // links, which are made faster than files
    std::filesystem::create_hard_link(root / "cat/1.png", root.path() / ("cat/." + std::to_string(100000 + i)));
  for (int i = 0; i < kGone; ++i) known.images.push_back({.id = "cat/b" + std::to_string(100000 + i), .label = 0});
  known.images.push_back({.id = "dog/cut.png", .label = 1});
  write_whole(root / "dog/cut.png", png.substr(0, png.size() / 2));
  std::ranges::sort(known.images, {}, &ImageEntry::id);
  const FolderScan found = scan_images(root.path(), {.keep_bad = true}, KnownIndex{known});
  CHECK(found.index == known);
  CHECK(found.bad.size() == kGone + 1);
  CHECK(found.left_out.size() == kHidden);  // and not dog/cut.png, which is an image of the index
}

TEST_CASE("the sample is one image in a hundred, at least 256, spread evenly") {
  CHECK(verified_sample(0).empty());
  CHECK(verified_sample(3) == std::vector<std::size_t>{0, 1, 2});
  CHECK(verified_sample(256).size() == 256);
  CHECK(verified_sample(25600).size() == 256);
  CHECK(verified_sample(25601).size() == 257);
  const std::vector<std::size_t> sample = verified_sample(1281167);
  CHECK(sample.size() == 12812);
  for (std::size_t i = 1; i < sample.size(); ++i) {
    CHECK(sample[i] - sample[i - 1] >= 99);
    CHECK(sample[i] - sample[i - 1] <= 100);
  }
}

TEST_CASE("folders without a data set are refused, naming what is missing") {
  const TemporaryDirectory root;
  const auto message = [&](const std::filesystem::path& path) -> std::string {
    try {
      scan_image_folder(path, nullptr);
    } catch (const Error& error) {
      return error.what();
    }
    return {};
  };
  CHECK(has(message(root / "absent"), "absent: does not exist; choose a folder that holds one folder"));
  CHECK(has(message(root.path()), "no class folder"));
  write_whole(root / "cat/a.txt", "text");
  CHECK(has(message(root.path()), "only one class folder; expected at least two"));
  write_whole(root / "dog/a.txt", "text");
  CHECK(has(message(root.path()), "no readable image"));
}

TEST_CASE("every left-out file is listed with its kind, and none becomes a class") {
  const TemporaryDirectory root;
  const std::string jpeg = as_string(encode_jpeg(gradient(20, 30), 90)), png = as_string(encode_png(gradient(5, 6)));
  for (const char* id : {"cat/a.jpg", "dog/b.jpg", "__MACOSX/cat/._a.jpg", "cat/@eaDir/a.jpg", "$RECYCLE.BIN/x.jpg",
                         "lost+found/y.jpg", ".git/z.jpg", ".ipynb_checkpoints/w.jpg", "cat/._a.jpg"})
    write_whole(root / id, jpeg);
  for (const char* id : {"cat/Thumbs.db", "cat/a.xmp", "cat/a.json", "cat/desktop.ini", "cat/.DS_Store"})
    write_whole(root / id, "no picture");
  write_whole(root / "cat/film.mp4", "no picture");
  write_whole(root / "cat/empty.jpg", "");
  const auto link = [&](const std::filesystem::path& to, const char* id) {
    std::filesystem::create_symlink(to, root / id);
  };
  link("nowhere.jpg", "cat/dangling.jpg");
  link("nowhere", "dangling_class");
  link("..", "dog/up");
  link("/dev/null", "dog/device.jpg");
  std::string middle = png;
  middle[middle.size() / 2] = static_cast<char>(middle[middle.size() / 2] ^ 1);
  write_whole(root / "dog/middle.png", middle);

  const auto kinds = [](const FolderScan& scan) {
    std::map<std::string, LeftOutKind> out;
    for (const LeftOut& entry : scan.left_out) {
      CAPTURE(entry.id + ": " + entry.reason);
      CHECK(!entry.reason.empty());
      // The path has its own column, what is left out needs no advice, and not every file is an image.
      CHECK(!has(entry.reason, entry.id.substr(0, entry.id.find_last_not_of('/') + 1)));
      CHECK(!has(entry.reason, ";"));
      CHECK(!has(entry.reason, "leave it out"));
      CHECK(!has(entry.reason, "image"));
      out[entry.id] = entry.kind;
    }
    return out;
  };
  std::map<std::string, LeftOutKind> wanted = {{"__MACOSX/", LeftOutKind::kJunkFolder},
                                               {"cat/@eaDir/", LeftOutKind::kJunkFolder},
                                               {"$RECYCLE.BIN/", LeftOutKind::kJunkFolder},
                                               {"lost+found/", LeftOutKind::kJunkFolder},
                                               {".git/", LeftOutKind::kHidden},
                                               {".ipynb_checkpoints/", LeftOutKind::kHidden},
                                               {"cat/._a.jpg", LeftOutKind::kHidden},
                                               {"cat/.DS_Store", LeftOutKind::kHidden},
                                               {"cat/Thumbs.db", LeftOutKind::kSidecar},
                                               {"cat/a.xmp", LeftOutKind::kSidecar},
                                               {"cat/a.json", LeftOutKind::kSidecar},
                                               {"cat/desktop.ini", LeftOutKind::kSidecar},
                                               {"cat/film.mp4", LeftOutKind::kNotAPicture},
                                               {"cat/empty.jpg", LeftOutKind::kDamaged},
                                               {"cat/dangling.jpg", LeftOutKind::kDanglingLink},
                                               {"dangling_class", LeftOutKind::kDanglingLink},
                                               {"dog/up/", LeftOutKind::kLinkLoop},
                                               {"dog/device.jpg", LeftOutKind::kSpecialFile}};
  const FolderScan fast = scan_images(root.path(), {});
  CHECK(fast.index.classes == std::vector<std::string>{"cat", "dog"});
  CHECK(fast.index.images.size() == 3);
  CHECK((kinds(fast) == wanted));
  const FolderScan deep = scan_images(root.path(), {.depth = IndexDepth::kDecode});
  CHECK(deep.index.images.size() == 2);
  wanted["dog/middle.png"] = LeftOutKind::kDamaged;
  CHECK((kinds(deep) == wanted));
  CHECK(counts_by_kind(deep.left_out) ==
        "2 damaged, 1 not a picture, 4 sidecar, 4 hidden, 4 junk folder, 2 dangling link, 1 link loop, 1 special file");
}

TEST_CASE("a link from inside a folder to one above it lists no image twice") {
  const TemporaryDirectory root;
  const std::string jpeg = as_string(encode_jpeg(gradient(20, 30), 90));
  for (const char* id : {"cat/a.jpg", "dog/b.jpg", "dog/sub/c.jpg"}) write_whole(root / id, jpeg);
  std::filesystem::create_symlink(".", root / "dog/self");
  std::filesystem::create_symlink("..", root / "dog/sub/up");
  std::filesystem::create_symlink("../..", root / "dog/sub/top");
  const auto ids = [](const FolderScan& scan) {
    std::vector<std::string> out;
    for (const ImageEntry& image : scan.index.images) out.push_back(image.id);
    for (const LeftOut& entry : scan.left_out) {
      CHECK(entry.kind == LeftOutKind::kLinkLoop);
      out.push_back(entry.id);
    }
    return out;
  };
  using Ids = std::vector<std::string>;
  CHECK((ids(scan_images(root.path(), {})) ==
         Ids{"cat/a.jpg", "dog/b.jpg", "dog/sub/c.jpg", "dog/self/", "dog/sub/top/", "dog/sub/up/"}));
  CHECK((ids(scan_images({root / "dog", {}, Labels::kNone}, {})) ==
         Ids{"b.jpg", "sub/c.jpg", "sub/top/cat/a.jpg", "self/", "sub/top/dog/", "sub/up/"}));
}

TEST_CASE("a huge file that is not a picture is not read, and oversized picture files are left out") {
  const TemporaryDirectory root;
  write_whole(root / "a/1.jpg", as_string(encode_jpeg(gradient(20, 30), 90)));
  write_whole(root / "b/1.jpg", as_string(encode_jpeg(gradient(20, 30), 90)));
  // Sparse files: reading one whole would take 2^40 bytes of memory.
  write_whole(root / "a/backup.tar", "a tar file's name, as it were");
  std::filesystem::resize_file(root / "a/backup.tar", std::uintmax_t{1} << 40);
  write_whole(root / "b/huge.jpg", "\xff\xd8\xff\xe0");
  std::filesystem::resize_file(root / "b/huge.jpg", std::uintmax_t{1} << 40);
  std::vector<LeftOut> left_out;
  CHECK(scan_image_folder(root.path(), &left_out).images.size() == 2);
  REQUIRE(left_out.size() == 2);
  CHECK(left_out[0].kind == LeftOutKind::kNotAPicture);
  CHECK(left_out[1].kind == LeftOutKind::kTooLarge);
  CHECK(left_out[1].reason == "has 1099511627776 bytes, more than the limit of 1073741824");
}

TEST_CASE("decoding settings are part of an index's hash, and determine sizes and pixels") {
  using namespace std::literals;
  const std::string jpeg = as_string(encode_jpeg(gradient(20, 30), 90));
  const std::string exif = "Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"s;
  const std::string turned =
      jpeg.substr(0, 2) + "\xff\xe1\0"s + static_cast<char>(exif.size() + 2) + exif + jpeg.substr(2);
  const TemporaryDirectory root;
  write_whole(root / "a/1.jpg", turned);
  write_whole(root / "b/1.jpg", jpeg);
  const auto scanned = [&](const Decoding& decoding, IndexDepth depth) {
    return std::make_shared<const ImageIndex>(scan_images(root.path(), {.depth = depth, .decoding = decoding}).index);
  };
  const auto stored = scanned({}, IndexDepth::kHeaders);
  const Decoding apply{.apply_orientation = true}, scale{.scale_grey16 = true};
  CHECK(stored->images[0].width == 30);
  for (const IndexDepth depth : {IndexDepth::kHeaders, IndexDepth::kDecode}) {
    const auto upright = scanned(apply, depth);
    CHECK(upright->images[0].width == 20);
    CHECK(upright->images[0].height == 30);
    CHECK(upright->images[1] == stored->images[1]);
    const Image picture = ViewMaker(root.path(), upright, 32).picture(0);
    CHECK(picture.height == 30);
    const Image as_stored = ViewMaker(root.path(), stored, 32).picture(0);
    CHECK(std::equal(picture.row(0), picture.row(0) + 3, as_stored.row(19)));  // its lower left corner comes first
    CHECK(upright->hash() != stored->hash());
    // A known index is rescanned at its own depth.
    CHECK(scan_images(root.path(), {.verify = VerifyImages::kAll}, KnownIndex{*upright}).index == *upright);
  }
  CHECK(scanned(scale, IndexDepth::kHeaders)->images == stored->images);
  CHECK(scanned(scale, IndexDepth::kHeaders)->hash() != stored->hash());
  CHECK(apply.describe() == "exif_orientation = \"apply\", grey16 = \"clip\"");
}

TEST_CASE("a file that the system refuses to read is left out as unreadable, not as damaged") {
  const TemporaryDirectory root;
  for (const char* id : {"a/1.jpg", "a/2.jpg", "b/1.jpg"})
    write_whole(root / id, as_string(encode_jpeg(gradient(20, 30), 90)));
  // Root may read it nevertheless.
  std::filesystem::permissions(root / "a/2.jpg", std::filesystem::perms::none);
  const bool refused = ::access((root / "a/2.jpg").c_str(), R_OK) != 0;
  std::vector<LeftOut> left_out;
  const ImageIndex index = scan_image_folder(root.path(), &left_out);
  CHECK(index.images.size() == (refused ? 2 : 3));
  if (refused) {
    REQUIRE(left_out.size() == 1);
    CHECK(left_out[0].kind == LeftOutKind::kUnreadable);
    CHECK(has(left_out[0].reason, "cannot be opened"));
  }
}

TEST_CASE("what is special in pictures is counted in good English") {
  PictureCounts counts{.looked_at = 127};
  CHECK(what_is_special(counts, {}).empty());
  counts.rotated = counts.grey16 = 1;
  const std::vector<std::string> one = what_is_special(counts, {});
  REQUIRE(one.size() == 2);
  CHECK(one[0].starts_with("1 of 127 images examined has an EXIF orientation other than upright, which is ignored"));
  CHECK(one[1].starts_with("1 of 127 images examined is a 16-bit grey PNG file, which is clipped at 255"));
  counts.rotated = counts.grey16 = 2;
  const std::vector<std::string> two = what_is_special(counts, {.apply_orientation = true, .scale_grey16 = true});
  CHECK(two[0].starts_with("2 of 127 images examined have an EXIF orientation other than upright, which is applied"));
  CHECK(two[1].starts_with("2 of 127 images examined are 16-bit grey PNG files, which are scaled"));
}

TEST_CASE("a directory inside the images is found however it is spelt") {
  const TemporaryDirectory root;
  const std::filesystem::path photos = root / "photos";
  std::filesystem::create_directories(photos / "ant");
  std::filesystem::create_directory_symlink(photos / "ant", root / "link");
  const auto refusal = [&](const std::filesystem::path& directory, const std::string& images) {
    return vitrine::testing::message_of([&] {
      check_outside_images({"--cache", directory}, {{"--val", ""}, {"PHOTOS", images}});
    });
  };
  const std::string slash = photos.string() + "/";
  CHECK(refusal(photos / "run", slash) ==
        (photos / "run").string() + ": --cache is in PHOTOS = " + slash +
            ", where its directory would count as a class; choose another --cache, outside the images");
  CHECK(has(refusal(photos, slash), "is in PHOTOS"));
  CHECK(has(refusal(slash, photos.string()), "is in PHOTOS"));
  CHECK(has(refusal(root / "link/run", photos.string()), "is in PHOTOS"));
  CHECK(has(refusal(photos / "ant/../../photos/run", photos.string()), "is in PHOTOS"));
  CHECK(refusal(root / "photos2", photos.string()).empty());
  CHECK(refusal(root.path(), photos.string()).empty());
  CHECK(refusal("", photos.string()).empty());
}
