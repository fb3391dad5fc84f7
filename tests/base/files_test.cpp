#include "common/base/files.h"

#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "common/base/error.h"
#include "common/base/hash.h"
#include "common/base/paths.h"
#include "tests/support/message.h"
#include "tests/support/ordinary_user.h"
#include "tests/support/skip.h"
#include "tests/support/testing.h"

using namespace vitrine;
using namespace vitrine::testing;

namespace {

namespace fs = std::filesystem;

// "kind: sentence" of the thrown error, or "none".
std::string thrown_by(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return text(exit_code(error.kind()), ": ", error.what());
  }
  return "none";
}

}  // namespace

TEST_CASE("a missing path does not exist, and one that cannot be resolved is an error with the reason") {
  const TemporaryDirectory directory;
  write_whole(directory / "file", "1234");
  fs::create_directory(directory / "folder");
  fs::create_symlink("nowhere", directory / "dangling");
  fs::create_symlink("file", directory / "link");
  fs::create_symlink("loop", directory / "loop");
  CHECK(path_exists(directory / "file"));
  CHECK(path_exists(directory / "folder"));
  CHECK(path_exists(directory / "link"));
  for (const char* none : {"none", "dangling", "file/below"}) CHECK_FALSE(path_exists(directory / none));
  CHECK_FALSE(path_exists(""));
  CHECK(file_exists(directory / "link"));
  CHECK_FALSE(file_exists(directory / "folder"));
  CHECK(directory_exists(directory / "folder"));
  CHECK_FALSE(directory_exists(directory / "file"));
  CHECK_FALSE(directory_exists(directory / "dangling"));
  CHECK(file_bytes(directory / "link") == 4);
  CHECK(thrown_by([&] { file_bytes(directory / "dangling"); }).starts_with("2: "));
  CHECK(same_file(directory / "link", directory / "file"));
  CHECK_FALSE(same_file(directory / "none", directory / "none"));
  const std::string longest(300, 'n');
  for (const fs::path& bad : {directory / "loop", directory / "loop/below", directory / longest}) {
    for (const auto& ask : std::vector<std::function<void()>>{[&] { path_exists(bad); }, [&] { file_exists(bad); },
                                                              [&] { directory_exists(bad); }, [&] { file_bytes(bad); },
                                                              [&] { same_file(bad, bad); }}) {
      const std::string error = thrown_by(ask);
      CAPTURE(error);
      CHECK(error.starts_with("2: " + bad.string() + ": cannot be examined ("));
    }
  }
}

TEST_CASE("without permission path_exists throws instead of returning false") {
  const TemporaryDirectory directory;
  open_to_all(directory.path());
  write_whole(directory / "closed/file", "1234");
  fs::permissions(directory / "closed", fs::perms::none);
  const auto said = as_ordinary_user([&] {
    return thrown_by([&] { path_exists(directory / "closed/file"); }) + "\n" +
           thrown_by([&] { list_directory(directory / "closed"); }) + "\n" +
           thrown_by([&] { read_file(directory / "closed/file"); }) + "\n" +
           thrown_by([&] { make_directories(directory / "closed/a/b"); }) + "\n" +
           thrown_by([&] { abandoned_in(directory / "closed"); }) + "\n" +
           thrown_by([&] { xxh3_of_file(directory / "closed/file"); }) + "\n";
  });
  fs::permissions(directory / "closed", fs::perms::all);
  if (!said) return skip("this user may not become another one");
  CAPTURE(*said);
  std::size_t lines = 0;
  for (std::size_t at = 0, end; (end = said->find('\n', at)) != std::string::npos; at = end + 1, ++lines) {
    const std::string line = said->substr(at, end - at);
    CHECK(line.starts_with("3: " + (directory / "closed").string()));
    CHECK(has(line, "Permission denied"));
  }
  CHECK(lines == 6);
}

TEST_CASE("a directory is listed in order of names, with each entry's kind") {
  const TemporaryDirectory directory;
  using Kind = DirectoryEntry::Kind;
  write_whole(directory / "b.file", "");
  write_whole(directory / "B.file", "");
  write_whole(directory / ".hidden", "");
  fs::create_directory(directory / "folder");
  fs::create_symlink("folder", directory / "to-folder");
  fs::create_symlink("b.file", directory / "to-file");
  fs::create_symlink("nowhere", directory / "to-nothing");
  fs::create_symlink("to-itself", directory / "to-itself");
  REQUIRE(mkfifo((directory / "pipe").c_str(), 0600) == 0);
  std::vector<std::pair<std::string, Kind>> found;
  for (const DirectoryEntry& entry : list_directory(directory.path())) found.emplace_back(entry.name, entry.kind);
  CHECK((found == std::vector<std::pair<std::string, Kind>>{{".hidden", Kind::kFile},
                                                            {"B.file", Kind::kFile},
                                                            {"b.file", Kind::kFile},
                                                            {"folder", Kind::kDirectory},
                                                            {"pipe", Kind::kOther},
                                                            {"to-file", Kind::kFile},
                                                            {"to-folder", Kind::kDirectory},
                                                            {"to-itself", Kind::kDangling},
                                                            {"to-nothing", Kind::kDangling}}));
  CHECK(thrown_by([&] { list_directory(directory / "none"); }).starts_with("2: "));
  CHECK(thrown_by([&] { list_directory(directory / "b.file"); }).starts_with("2: "));
}

TEST_CASE("move_aside never overwrites") {
  const TemporaryDirectory directory;
  for (int i = 1; i <= 3; ++i) {
    write_whole(directory / "file", std::to_string(i));
    const fs::path to = move_aside(directory / "file", "damaged");
    CHECK(to == directory / (i == 1 ? "file.damaged" : "file.damaged." + std::to_string(i)));
    CHECK_FALSE(fs::exists(directory / "file"));
  }
  CHECK(read_whole(directory / "file.damaged") == "1");
  CHECK(read_whole(directory / "file.damaged.2") == "2");
  CHECK(read_whole(directory / "file.damaged.3") == "3");
  // Also a folder with a trailing slash; names of dangling links count as taken.
  write_whole(directory / "run/log", "mine");
  fs::create_symlink("nowhere", directory / "run.old");
  CHECK(move_aside(directory / "run/", "old") == directory / "run.old.2");
  CHECK(read_whole(directory / "run.old.2/log") == "mine");
  CHECK(fs::is_symlink(directory / "run.old"));
  CHECK(thrown_by([&] { move_aside(directory / "none", "old"); }).starts_with("2: "));
}

TEST_CASE("directories are created, and a file in the way is named") {
  const TemporaryDirectory directory;
  make_directories(directory / "a/b/c");
  make_directories(directory / "a/b/c/");
  CHECK(fs::is_directory(directory / "a/b/c"));
  write_whole(directory / "file", "");
  CHECK(thrown_by([&] { make_directories(directory / "file"); }) ==
        "2: " + (directory / "file").string() + ": exists and is not a directory; move it away or choose another path");
  CHECK(thrown_by([&] {
          make_directories(directory / "file/below");
        }).starts_with("2: " + (directory / "file").string()));
  CHECK(thrown_by([] { make_directories(""); }) == "2: the path of a directory is empty; name a directory");
  CHECK(thrown_by([] { read_file(""); }).starts_with("2: \"\": cannot be opened ("));
  CHECK(thrown_by([&] { publish(directory / "file/below", "x"); }).starts_with("2: "));
}

TEST_CASE("a directory is removed with all that is in it, but not what its links lead to") {
  const TemporaryDirectory directory;
  write_whole(directory / "tree/a/b/file", "x");
  write_whole(directory / "kept/file", "x");
  fs::create_directory_symlink(directory / "kept", directory / "tree/a/link");
  remove_directory(directory / "tree");
  CHECK_FALSE(path_exists(directory / "tree"));
  CHECK(file_exists(directory / "kept/file"));
  remove_directory(directory / "tree");
  CHECK(has(thrown_by([&] { remove_directory(directory / std::string(300, 'n')); }), ": cannot be removed ("));
}

TEST_CASE("an existing file is removed, and a failure to remove is an error") {
  const TemporaryDirectory directory;
  write_whole(directory / "file", "");
  remove_file(directory / "file");
  CHECK_FALSE(fs::exists(directory / "file"));
  remove_file(directory / "file");
  fs::create_directory(directory / "folder");
  CHECK(thrown_by([&] { remove_file(directory / "folder"); }).find(": cannot be removed (") != std::string::npos);
  CHECK(fs::exists(directory / "folder"));
  write_whole(directory / "one", "1");
  write_whole(directory / "two", "2");
  rename_path(directory / "one", directory / "two");
  CHECK(read_whole(directory / "two") == "1");
  CHECK(thrown_by([&] { rename_path(directory / "one", directory / "two"); }).starts_with("2: "));
}

TEST_CASE("a path is resolved however it is written, and one in a folder is found there") {
  const TemporaryDirectory directory;
  const fs::path real = fs::canonical(directory.path());
  fs::create_directory(real / "folder");
  fs::create_directory_symlink("folder", real / "link");
  for (const char* written : {"folder", "folder/", "folder/.", "link", "link/", "link/../folder", "none/../folder"})
    CHECK(resolved_path(real / written) == real / "folder");
  CHECK(resolved_path(real / "link/new/") == real / "folder/new");
  CHECK(resolved_path(".") == fs::current_path());
  CHECK(resolved_path("/") == "/");
  CHECK(resolved_path("").empty());
  CHECK(path_from_root(real / "link/./new/") == real / "link/new");
  CHECK(path_from_root(real / "none/../loop") == real / "loop");
  CHECK(path_from_root(".") == fs::current_path());
  CHECK(path_from_root("/") == "/");
  CHECK(path_from_root("").empty());
  CHECK(nearest_directory(real / "link") == real / "folder");
  CHECK(nearest_directory(real / "folder/new/newer") == real / "folder");
  CHECK(nearest_directory("new/newer") == fs::current_path());
  CHECK(nearest_directory("/new") == "/");
  fs::create_symlink("loop", real / "loop");
  CHECK(has(thrown_by([&] { resolved_path(real / "loop/below"); }), "loop/below: cannot be followed ("));

  CHECK(is_within(real / "folder", real / "link"));
  CHECK(is_within(real / "link/new/deep", real / "folder/"));
  CHECK(is_within("/etc", "/"));
  CHECK_FALSE(is_within(real / "folders", real / "folder"));
  CHECK_FALSE(is_within(real, real / "folder"));
  CHECK_FALSE(is_within(real, ""));
  CHECK(is_mount_point("/proc"));
  CHECK_FALSE(is_mount_point(real / "folder"));
  CHECK_FALSE(is_mount_point(real / "missing"));
}

TEST_CASE("a file shorter than requested is damage, and a file of several blocks is hashed whole") {
  const TemporaryDirectory directory;
  write_whole(directory / "file", "1234");
  std::array<std::byte, 8> out;
  const ReadableFile file(directory / "file");
  CHECK(thrown_by([&] { file.read(0, out); }).starts_with("4: " + (directory / "file").string() + ": ends at byte 4"));
  fs::resize_file(directory / "file", 2);  // while it is open for writing
  CHECK(thrown_by([&] { file.read(0, out); }).starts_with("3: " + (directory / "file").string() + ": ends at byte 2"));
  const std::string bytes((1 << 20) + 5, 'x');
  write_whole(directory / "big", bytes);
  const FileHash hash = xxh3_of_file(directory / "big");
  CHECK(hash.bytes == bytes.size());
  CHECK(hash.hash == xxh3(bytes));
  write_whole(directory / "none", "");
  CHECK(xxh3_of_file(directory / "none").hash == xxh3(""));
  CHECK(has(thrown_by([&] { sha256_hex_of_file(directory.path()); }), "is not a regular file"));
}
