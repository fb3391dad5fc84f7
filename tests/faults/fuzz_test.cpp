// The fuzzer as a plain test: the golden files give what their table says, and thousands of inputs made from them by a
// fixed generator give values or one sentence.
#include "tests/faults/fuzz.h"

#include <cstdio>
#include <cstdlib>
#include <map>
#include <sstream>

#include "common/base/error.h"
#include "common/base/philox.h"
#include "tests/support/testing.h"

using namespace vitrine;
using namespace vitrine::testing;

namespace {

const std::filesystem::path kGolden = VITRINE_GOLDEN;

// File to expected outcome, from the table in README.md.
std::map<std::string, std::string> expectations() {
  std::map<std::string, std::string> rows;
  std::istringstream readme(read_whole(kGolden / "README.md"));
  for (std::string line; std::getline(readme, line);) {
    if (!line.starts_with("| `")) continue;
    const std::size_t name_end = line.find('`', 3), last = line.rfind(" | ", line.size() - 3);
    rows[line.substr(3, name_end - 3)] = line.substr(last + 3, line.size() - last - 5);
  }
  return rows;
}

// One to eight changes of bits, bytes, words and lengths, most of them where the table is.
void mutate(std::string& bytes, Stream& stream, const std::string& other) {
  const std::uint64_t words[] = {0, 1, 0x7F, 0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 1ull << 32, 1ull << 62, ~0ull};
  for (std::uint64_t left = 1 + stream.below(8); left > 0 && !bytes.empty(); --left) {
    const std::size_t reach = stream.below(4) == 0 ? bytes.size() : std::min<std::size_t>(bytes.size(), 1500);
    const std::size_t at = stream.below(reach);
    switch (stream.below(7)) {
      case 0:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << stream.below(8)));
        break;
      case 1:
        bytes[at] = static_cast<char>(stream.bits());
        break;
      case 2:
      case 3: {
        const std::uint64_t word = words[stream.below(std::size(words))];
        const std::size_t aligned = at / 4 * 4;
        std::memcpy(bytes.data() + aligned, &word,
                    std::min<std::size_t>(4 + 4 * stream.below(2), bytes.size() - aligned));
        break;
      }
      case 4:
        bytes.resize(at);
        break;
      case 5:  // a piece from another place
        bytes.replace(at, std::min<std::size_t>(8, bytes.size() - at),
                      bytes.substr(stream.below(bytes.size()), std::min<std::size_t>(8, bytes.size() - at)));
        break;
      default:  // a piece of another file
        if (at < other.size()) bytes.replace(at, 1 + stream.below(64), other.substr(at, 1 + stream.below(64)));
    }
  }
}

long inputs_wanted(long usual) {
  // More with VITRINE_FUZZ_INPUTS: a long run under sanitizers.
  const char* wanted = std::getenv("VITRINE_FUZZ_INPUTS");
  return wanted == nullptr ? usual : std::atol(wanted);
}

}  // namespace

TEST_CASE("golden files give what their table says") {
  const std::map<std::string, std::string> rows = expectations();
  std::size_t files = 0, refused = 0;
  for (const auto& entry : std::filesystem::directory_iterator(kGolden)) files += entry.path().extension() == ".h5";
  CHECK(files == rows.size());
  REQUIRE(rows.size() >= 20);
  for (const auto& [name, expected] : rows) {
    CAPTURE(name);
    const Outcome outcome = read_as_track(kGolden / name, golden_basis());
    if (name.starts_with("bad_")) {
      CHECK(outcome.error.starts_with((kGolden / name).string() + ": " + expected));
      ++refused;
    } else if (expected.starts_with("sum ")) {
      CHECK(outcome.error == "");
      CHECK(outcome.sum == doctest::Approx(std::stod(expected.substr(4))).epsilon(1e-5));
    } else {
      char hash[32];
      std::snprintf(hash, sizeof hash, "%016llx", static_cast<unsigned long long>(outcome.hash));
      CHECK(outcome.error == "");
      CHECK(hash == expected);
    }
  }
  CHECK(refused >= 10);
}

TEST_CASE("thousands of mutated files give values or one sentence") {
  std::vector<std::string> seeds;
  for (const auto& [name, expected] : expectations()) seeds.push_back(read_whole(kGolden / name));
  REQUIRE(!seeds.empty());
  const long inputs = inputs_wanted(4000);
  Stream stream(31, Purpose::kSample, static_cast<std::uint32_t>(inputs));
  for (long i = 0; i < inputs; ++i) {
    std::string bytes = seeds[stream.below(seeds.size())];
    mutate(bytes, stream, seeds[stream.below(seeds.size())]);
    CAPTURE(i);
    CHECK_NOTHROW(LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()));
  }
}

TEST_CASE("stored arrays that no encoder made, behind right checksums, decode to floats or to one sentence") {
  const char* names[] = {"fp32.h5", "fp16.h5", "int8.h5", "sqrt8.h5", "uniform.h5", "topk.h5", "transform.h5"};
  std::vector<StoredGroup> groups;
  for (const char* name : names) groups.push_back(stored_group(kGolden / name, golden_basis()));
  const long inputs = inputs_wanted(8000);
  Stream stream(32, Purpose::kSample, static_cast<std::uint32_t>(inputs));
  long refused = 0;
  std::vector<float> out;
  for (long i = 0; i < inputs; ++i) {
    // The plain forms have little to go wrong: most inputs are for the last three.
    const StoredGroup& group = groups[stream.below(8) == 0 ? stream.below(4) : 4 + stream.below(3)];
    std::vector<std::vector<std::byte>> arrays = group.arrays;
    for (std::vector<std::byte>& array : arrays) {
      std::string bytes(reinterpret_cast<const char*>(array.data()), array.size());
      mutate(bytes, stream, bytes);
      // A file's chunks keep their size, except for those of whole groups.
      if (group.codec->layout()[0].whole_group ? stream.below(2) == 0 : stream.below(16) != 0)
        bytes.resize(array.size());
      // Not at the end of a larger block, so that a sanitizer sees the first byte after it.
      array.assign(reinterpret_cast<const std::byte*>(bytes.data()),
                   reinterpret_cast<const std::byte*>(bytes.data()) + bytes.size());
      array.shrink_to_fit();
    }
    std::vector<std::span<const std::byte>> spans(arrays.begin(), arrays.end());
    out.assign(group.values, 0.0f);
    CAPTURE(i);
    try {
      group.codec->decode(spans, 4, out);
    } catch (const Error&) {
      ++refused;
    }
  }
  CHECK(refused > inputs / 20);
  CHECK(refused < inputs);
}
