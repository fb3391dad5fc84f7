#include "common/image/left_out.h"

#include <sys/resource.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/image/index_record.h"
#include "common/image/look.h"
#include "common/image/scan.h"
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

TEST_CASE("left_out.tsv round-trips, and entries are added without losing others") {
  const TemporaryDirectory root;
  const std::filesystem::path path = root / "list/left_out.tsv";
  write_left_out(path, {});
  CHECK(!std::filesystem::exists(path));
  CHECK(read_left_out(path).empty());
  const LeftOut late{"b/2.jpg", "is gone", LeftOutKind::kMissing},
      damaged{"c/3.jpg", "cut short", LeftOutKind::kDamaged},
      odd{"a/tab\tand\nline", "two\nlines", LeftOutKind::kHidden};
  write_left_out(path, {late, damaged, odd, damaged});
  CHECK((read_left_out(path) == std::vector<LeftOut>{damaged, odd, late}));
  CHECK(read_whole(path).starts_with("kind\tpath\treason\ndamaged\tc/3.jpg\tcut short\n"));
  const LeftOut more{"d/4.jpg", "failed", LeftOutKind::kFailedLater};
  add_left_out(path, std::vector<LeftOut>{late, more, odd});
  CHECK((read_left_out(path) == std::vector<LeftOut>{damaged, odd, late, more}));
  add_left_out(root / "new/left_out.tsv", {&more, 1});
  CHECK((read_left_out(root / "new/left_out.tsv") == std::vector<LeftOut>{more}));
}

TEST_CASE("left_out.tsv keeps each path and reason in one line, whatever characters they have") {
  const TemporaryDirectory root;
  const std::filesystem::path path = root / kLeftOutFile;
  const LeftOut odd{"a\tb\nc\rd\\e\\t.jpg", "two\nlines", LeftOutKind::kDamaged};
  write_left_out(path, {odd});
  CHECK(read_whole(path) == "kind\tpath\treason\ndamaged\ta\\tb\\nc\\rd\\\\e\\\\t.jpg\ttwo\\nlines\n");
  CHECK((read_left_out(path) == std::vector<LeftOut>{odd}));
  add_left_out(path, {&odd, 1});
  CHECK((read_left_out(path) == std::vector<LeftOut>{odd}));
  write_whole(path, "kind\tpath\treason\ndamaged\td\\e.jpg\tends in \\\n");  // a backslash that escapes nothing
  CHECK((read_left_out(path) == std::vector<LeftOut>{{"d\\e.jpg", "ends in \\", LeftOutKind::kDamaged}}));
}

TEST_CASE("an entry that is added after a part of a line has a line of its own") {
  const TemporaryDirectory root;
  const std::filesystem::path path = root / kLeftOutFile;
  const LeftOut damaged{"c/3.jpg", "cut short", LeftOutKind::kDamaged},
      more{"d/4.jpg", "went", LeftOutKind::kFailedLater};
  write_left_out(path, {damaged});
  const std::string whole = read_whole(path);
  for (const char* part : {"failed lat", "failed later\td/4."}) {
    write_whole(path, whole + part);
    LeftOutAppender appender(path);
    appender.add({&damaged, 1});  // it is there: nothing is written
    CHECK(read_whole(path) == whole + part);
    appender.add({&more, 1});
    appender.add({&more, 1});
    CHECK(read_whole(path) == whole + part + "\nfailed later\td/4.jpg\twent\n");
    CHECK((read_left_out(path) == std::vector<LeftOut>{damaged, more}));
  }
}

namespace {

// Bytes that this process has read so far; 0 if the system does not count them.
std::uint64_t bytes_read() {
  std::ifstream in("/proc/self/io");
  std::string word;
  std::uint64_t bytes = 0;
  return in >> word >> bytes ? bytes : 0;
}

}  // namespace

TEST_CASE("entries are added one by one without reading the list again, but for what others have added") {
  const TemporaryDirectory root;
  const std::filesystem::path path = root / kLeftOutFile;
  const auto entry = [](int i) {
    return LeftOut{"a/" + std::to_string(i) + ".jpg", "went", LeftOutKind::kFailedLater};
  };
  constexpr int kEntries = 2000;
  const auto tell = tell_and_list(path);
  const std::uint64_t before = bytes_read();
  for (int i = 0; i < kEntries; ++i) tell(entry(i));
  const std::uint64_t read = bytes_read() - before;
  CHECK(read < 3 * file_bytes(path) + 10000);  // of which each was read once, not once for each later entry
  CHECK(read_left_out(path).size() == kEntries);
  // Another process adds an entry, then replaces the list.
  const LeftOut theirs = entry(kEntries), damaged{"b/1.jpg", "is damaged", LeftOutKind::kDamaged};
  add_left_out(path, {&theirs, 1});
  tell(theirs);
  CHECK(read_left_out(path).size() == kEntries + 1);
  write_left_out(path, {damaged});
  tell(theirs);
  CHECK((read_left_out(path) == std::vector<LeftOut>{damaged, theirs}));
}

TEST_CASE("a long list is added to a long list in one pass") {
  const TemporaryDirectory root;
  const std::filesystem::path path = root / kLeftOutFile;
  constexpr int kEntries = 300000;  // comparing each with each would take minutes
  std::vector<LeftOut> list;
  for (int i = 0; i < kEntries; ++i) list.push_back({"a/" + std::to_string(1000000 + i), "", LeftOutKind::kMissing});
  add_left_out(path, list);
  for (LeftOut& entry : list) entry.id[0] = 'b';
  add_left_out(path, list);
  add_left_out(path, list);
  CHECK(read_left_out(path).size() == 2 * kEntries);
}

TEST_CASE("rewriting left_out.tsv loses no line that others append concurrently") {
  const TemporaryDirectory root;
  const std::filesystem::path path = root / kLeftOutFile;
  constexpr int kLines = 400;
  const LeftOut scanned{"a/1.jpg", "is damaged", LeftOutKind::kDamaged};
  std::thread adds([&] {
    for (int i = 0; i < kLines; ++i) {
      const LeftOut met{"b/" + std::to_string(i) + ".jpg", "went", LeftOutKind::kFailedLater};
      add_left_out(path, {&met, 1});
    }
  });
  const auto met_later = [](const LeftOut& entry) { return entry.kind == LeftOutKind::kFailedLater; };
  for (int i = 0; i < kLines; ++i)  // a different list each time, so that it is published
    write_left_out(path, {scanned, {"a/" + std::to_string(i + 2) + ".jpg", "is damaged", LeftOutKind::kDamaged}},
                   met_later);
  adds.join();
  write_left_out(path, {scanned}, met_later);
  CHECK(read_left_out(path).size() == kLines + 1);
  write_left_out(path, {scanned});
  CHECK((read_left_out(path) == std::vector<LeftOut>{scanned}));
}

TEST_CASE("an index record of a newer version is refused and kept, a damaged one is rewritten") {
  const TemporaryDirectory root;
  const IndexRecord record{IndexDepth::kDecode, {1, 2, 3}};
  write_index_record(root.path(), "abc", record);
  CHECK(read_index_record(root.path(), "abc") == record);
  CHECK(!read_index_record(root.path(), "abd"));
  const std::filesystem::path file = root / kIndexRecordFile;
  std::string newer = read_whole(file);
  newer.replace(newer.find("\"version\": 1"), 12, "\"version\": 2");
  write_whole(file, newer);
  for (const char* hash : {"abc", "abd"}) {  // other fields do not matter
    CHECK_THROWS_WITH_AS(read_index_record(root.path(), hash),
                         doctest::Contains("index_record.json: has format version 2, this program reads 1.x"), Error);
    CHECK_THROWS_AS(write_index_record(root.path(), hash, {}), Error);
    CHECK(read_whole(file) == newer);
  }
  for (const char* damaged : {"", "{", R"({"format": "vitrine index record"})"}) {
    write_whole(file, damaged);
    CHECK(!read_index_record(root.path(), "abc"));
    write_index_record(root.path(), "abc", record);
    CHECK(read_index_record(root.path(), "abc") == record);
  }
}

TEST_CASE("a copied index record is marked as copied until an extraction writes its own") {
  const TemporaryDirectory root, copy;
  CHECK(!has_own_index_record(root.path()));
  CHECK(!copied_index_record(root.path(), "abc"));
  const IndexRecord record{IndexDepth::kDecode, {1, 2, 3}, 0.1};
  write_index_record(root.path(), "abc", record);
  CHECK(has_own_index_record(root.path()));
  CHECK(has(read_whole(root / kIndexRecordFile), "\"grey16\": 2"));
  REQUIRE(copied_index_record(root.path(), "abc"));
  CHECK(!copied_index_record(root.path(), "abd"));
  write_whole(copy / kIndexRecordFile, *copied_index_record(root.path(), "abc"));
  CHECK(!has_own_index_record(copy.path()));
  IndexRecord marked = record;
  marked.copied = true;
  CHECK(read_index_record(copy.path(), "abc") == marked);
  CHECK(copied_index_record(copy.path(), "abc") == copied_index_record(root.path(), "abc"));
  write_index_record(copy.path(), "abc", record);
  CHECK(has_own_index_record(copy.path()));
  write_whole(copy / kIndexRecordFile, "{");
  CHECK(has_own_index_record(copy.path()));
}

TEST_CASE("without free file handles the scan and the run stop, and no picture is left out") {
  const TemporaryDirectory root;
  const std::string jpeg = as_string(encode_jpeg(gradient(20, 30), 90));
  for (const char* id : {"a/1.jpg", "b/1.jpg"}) write_whole(root / id, jpeg);
  const auto index = std::make_shared<const ImageIndex>(scan_image_folder(root.path(), nullptr));
  const auto bad = std::make_shared<BadPictures>(BadImages::kSkip, index->images.size(), 1);
  const ViewMaker views(root.path(), index, 32, bad, {2, [](int) {}});
  ImageEntry entry = index->images[0];
  rlimit usual{};
  REQUIRE(getrlimit(RLIMIT_NOFILE, &usual) == 0);
  rlimit none = usual;
  none.rlim_cur = 0;  // files that are open stay so
  const auto kind_of_call = [&](const auto& call) {
    setrlimit(RLIMIT_NOFILE, &none);
    ErrorKind kind = ErrorKind::kInternal;  // none
    try {
      call();
    } catch (const Error& error) {
      kind = error.kind();
    }
    setrlimit(RLIMIT_NOFILE, &usual);
    return kind;
  };
  CHECK(kind_of_call([&] { look_at(root.path(), entry, IndexDepth::kHeaders, {}); }) == ErrorKind::kMemory);
  CHECK(kind_of_call([&] { views.picture_or_none(0); }) == ErrorKind::kMemory);
  CHECK(bad->met().empty());
  CHECK(views.picture_or_none(0).has_value());
}
