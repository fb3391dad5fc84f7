#include "common/base/buffer.h"

#include <cstdint>
#include <utility>

#include "common/base/error.h"
#include "common/base/files.h"
#include "tests/support/testing.h"

using namespace vitrine;
using namespace vitrine::testing;

TEST_CASE("a buffer grows when needed, keeps its memory for smaller sizes, and can be moved") {
  Buffer buffer;
  CHECK(buffer.first(0).empty());
  const std::span<std::byte> small = buffer.first(100);
  small[99] = std::byte{7};
  CHECK(buffer.first(40).data() == small.data());
  CHECK(buffer.first(100)[99] == std::byte{7});
  for (const std::size_t size : {std::size_t{5000}, std::size_t{1} << 20, std::size_t{5} << 20}) {
    const std::span<std::byte> bytes = buffer.first(size);
    REQUIRE(bytes.size() == size);
    CHECK(reinterpret_cast<std::uintptr_t>(bytes.data()) % 4096 == 0);
    bytes[0] = bytes[size - 1] = std::byte{1};
  }
  const std::span<float> numbers = buffer.numbers<float>(1000);
  CHECK(numbers.size() == 1000);
  Buffer other = std::move(buffer);
  CHECK(other.numbers<float>(1000).data() == numbers.data());
}

TEST_CASE("a ReadableFile can be reopened for another path, and is closed after a failure") {
  const TemporaryDirectory directory;
  write_whole(directory / "a", "first");
  write_whole(directory / "b", "another");
  ReadableFile file;
  CHECK(file.path().empty());
  file.open((directory / "a").string());
  CHECK(file.size() == 5);
  const std::uint64_t inode = file.inode();
  file.open((directory / "b").string());
  CHECK(file.size() == 7);
  CHECK(file.inode() != inode);
  std::byte last{};
  file.read(6, {&last, 1});
  CHECK(last == std::byte{'r'});
  CHECK_THROWS_AS(file.open((directory / "none").string()), Error);
  CHECK(file.path().empty());
  CHECK_THROWS_AS(file.read(0, {&last, 1}), Error);
}
