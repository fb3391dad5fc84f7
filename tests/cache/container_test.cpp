#include "common/cache/container.h"

#include <cstring>

#include "common/base/error.h"
#include "common/base/hash.h"
#include "common/cache/container.h"
#include "common/cache/container_writer.h"
#include "tests/support/message.h"
#include "tests/support/testing.h"

using namespace vitrine;
using namespace vitrine::testing;

namespace {

const std::string kJson = R"({"a": "\u00e4"})";

std::vector<std::byte> bytes_of(std::size_t count, unsigned factor) {
  std::vector<std::byte> bytes;
  for (std::size_t i = 0; i < count; ++i) bytes.push_back(static_cast<std::byte>(i * factor % 251));
  return bytes;
}

const std::vector<std::byte> kBytes = bytes_of(3 * 4 * 5, 7), kScales = bytes_of(7 * 4, 11);

// Three chunks of 4 rows of 5, and two chunks of 4 floats of which the last lacks one.
void write_small(const std::filesystem::path& path) {
  const std::span<const std::byte> b = kBytes, s = kScales;
  write_container(path,
                  {{"q", "|u1", {12, 5}, 4, {b.subspan(0, 20), b.subspan(20, 20), b.subspan(40, 20)}},
                   {"scale", "<f4", {7}, 4, {s.subspan(0, 16), s.subspan(16, 12)}}},
                  kJson, 1);
}

// Opens and reads everything, and checks it against write_small().
void read_small(const std::filesystem::path& path) {
  const Container file(path);
  Container::Scratch scratch;
  // Read outside CHECK, which would swallow the exception.
  const std::vector<std::byte> bytes = file.read_all(file.find("q"), scratch),
                               scales = file.read_all(file.find("scale"), scratch);
  CHECK(file.json() == kJson);
  CHECK(bytes == kBytes);
  CHECK(scales == kScales);
}

std::string error_of(const std::filesystem::path& path) {
  try {
    read_small(path);
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

// The bytes with a number in the header changed and the table's checksum recomputed.
template <class Number>
std::string with_header(std::string bytes, std::size_t offset, Number value) {
  std::memcpy(bytes.data() + offset, &value, sizeof value);
  const auto size = table::at<std::uint64_t>(bytes, table::kTableBytesAt);
  if (size >= table::kChecksumBytes && size <= bytes.size()) {
    const std::uint64_t hash = xxh3(std::string_view(bytes).substr(0, size - table::kChecksumBytes));
    std::memcpy(bytes.data() + size - table::kChecksumBytes, &hash, sizeof hash);
  }
  return bytes;
}

}  // namespace

TEST_CASE("a container round-trips, by chunk and as a whole") {
  const TemporaryDirectory directory;
  write_small(directory / "a.h5");
  read_small(directory / "a.h5");
  const Container file(directory / "a.h5");
  CHECK(file.datasets()[0].shape == std::vector<std::uint64_t>{12, 5});
  CHECK(file.datasets()[1].chunk_count == 2);
  Container::Scratch scratch;
  std::vector<std::byte> chunk(20), last(16);
  file.read_chunk(0, 1, scratch, chunk);
  CHECK(std::memcmp(chunk.data(), kBytes.data() + 20, 20) == 0);
  file.read_chunk(1, 1, scratch, last);
  CHECK(std::memcmp(last.data(), kScales.data() + 16, 12) == 0);
  CHECK(table::at<std::uint32_t>(std::string_view(reinterpret_cast<const char*>(last.data()), 16), 12) == 0);
  CHECK_THROWS_AS(file.read_chunk(0, 3, scratch, chunk), Error);
  CHECK_THROWS_AS(file.read_chunk(0, 1, scratch, last), Error);
  CHECK_THROWS_AS(file.find("values"), Error);
}

TEST_CASE("writing twice gives equal bytes") {
  const TemporaryDirectory directory;
  write_small(directory / "a.h5");
  write_small(directory / "b.h5");
  CHECK(read_whole(directory / "a.h5") == read_whole(directory / "b.h5"));
}

TEST_CASE("a table beyond the first read, with an attribute beyond HDF5's 64 KiB, is read whole") {
  const TemporaryDirectory directory;
  const std::string json = "{\"a\": \"" + std::string(300000, 'x') + "\"}";
  write_container(directory / "a.h5", {{"q", "|u1", {60}, 60, {kBytes}}}, json, 1);
  const Container file(directory / "a.h5");
  Container::Scratch scratch;
  CHECK(file.json() == json);
  CHECK(file.read_all(0, scratch) == kBytes);
}

TEST_CASE("every changed byte is detected or has no effect") {
  const TemporaryDirectory directory;
  write_small(directory / "a.h5");
  const std::string good = read_whole(directory / "a.h5");
  const auto table_bytes = table::at<std::uint64_t>(good, table::kTableBytesAt);
  std::size_t noticed = 0, in_table = 0;
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ (1 << i % 8));
    write_whole(directory / "bad.h5", bad);
    const std::string error = error_of(directory / "bad.h5");  // read_small checks the values when nothing is thrown
    if (error.empty()) continue;
    ++noticed;
    in_table += i < table_bytes;
    CHECK(has(error, "bad.h5: "));
  }
  CHECK(in_table == table_bytes);
  CHECK(noticed > in_table);  // chunks as well
}

TEST_CASE("a file truncated anywhere is an error") {
  const TemporaryDirectory directory;
  write_small(directory / "a.h5");
  const std::string good = read_whole(directory / "a.h5");
  for (std::size_t size = 0; size < good.size(); size += size < 600 ? 1 : 37) {
    write_whole(directory / "bad.h5", good.substr(0, size));
    CHECK(!error_of(directory / "bad.h5").empty());
  }
  write_whole(directory / "bad.h5", good + "x");
  CHECK(!error_of(directory / "bad.h5").empty());
}

TEST_CASE("another version and unknown required features are refused, unknown optional ones are not") {
  const TemporaryDirectory directory;
  write_small(directory / "a.h5");
  const std::string good = read_whole(directory / "a.h5");
  const auto error_with = [&](std::size_t offset, auto value) {
    write_whole(directory / "b.h5", with_header(good, offset, value));
    return error_of(directory / "b.h5");
  };
  CHECK(error_with(table::kVersionAt, std::uint16_t{3})
            .ends_with("has format version 3.0, this program reads 2.x; use a newer vitrine"));
  CHECK(error_with(table::kVersionAt, std::uint16_t{1})
            .ends_with("has format version 1.x, which no release wrote; extract the cache again"));
  CHECK(error_with(table::kVersionAt, std::uint16_t{0}).find("has format version 0.0, which does not exist") !=
        std::string::npos);
  CHECK(has(error_with(table::kRequiredAt, std::uint32_t{4}), "flags 4"));
  CHECK(error_with(table::kVersionAt + 2, std::uint16_t{9}).empty());
  CHECK(error_with(table::kIgnorableAt, std::uint32_t{4}).empty());
}

TEST_CASE("absurd numbers with a valid checksum are errors, and nothing is allocated for them") {
  const TemporaryDirectory directory;
  write_small(directory / "a.h5");
  const std::string good = read_whole(directory / "a.h5");
  const auto table_bytes = table::at<std::uint64_t>(good, table::kTableBytesAt);
  const std::size_t chunks_at = table::kHeaderBytes + 2 * table::kDatasetBytes,
                    json_at = chunks_at + 5 * table::kChunkBytes;
  CHECK(table_bytes == json_at + kJson.size() + table::kChecksumBytes);
  for (std::size_t at = table::kDatasetsAt; at + 8 <= json_at; at += 4)
    for (const std::uint64_t value : {~0ull, 1ull << 62, 1ull << 40, 0xFFFFFFFFull, 0ull}) {
      if (table::at<std::uint64_t>(good, at) == value) continue;
      write_whole(directory / "bad.h5", with_header(good, at, value));
      CAPTURE(at);
      CAPTURE(value);
      (void)error_of(directory / "bad.h5");  // an error, or the right values
    }
  const auto refused = [&](std::size_t at) {
    write_whole(directory / "bad.h5", with_header(good, at, ~0ull));
    return !error_of(directory / "bad.h5").empty();
  };
  CHECK(refused(table::kTableBytesAt));
  CHECK(refused(table::kFileBytesAt));
  CHECK(refused(table::kChunksAt));
  CHECK(refused(table::kHeaderBytes + 56));  // rows of the first dataset
  CHECK(refused(chunks_at));                 // the first chunk's offset
}
