// Fuzzing as a deterministic test: thousands of inputs derived from the golden files give values or a one-sentence
// error.
#include "tests/faults/fuzz.h"

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "common/base/error.h"
#include "common/base/philox.h"
#include "common/cache/shard_directory.h"
#include "common/codec/transform/transform_codec.h"
#include "tests/faults/golden.h"
#include "tests/support/testing.h"

using namespace vitrine;
using namespace vitrine::testing;

namespace {

// One to eight changes of bits, bytes, words and lengths, most of them where the table is.
void mutate(std::string& bytes, RandomStream& stream, const std::string& other) {
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

using Json = nlohmann::ordered_json;

void list_nodes(Json& json, std::vector<Json*>& nodes) {
  nodes.push_back(&json);
  if (json.is_structured())
    for (Json& child : json) list_nodes(child, nodes);
}

// One to three changes of values, keys and places; most leave text that is JSON.
std::string mutate_json(const std::string& text, RandomStream& stream) {
  static const Json values[] = {nullptr,
                                true,
                                0,
                                1,
                                -1,
                                3,
                                1.5,
                                1e300,
                                -1e300,
                                4294967295u,
                                4294967360u,
                                1ull << 63,
                                ~0ull,
                                "",
                                "x",
                                "\u00e9",
                                "9",
                                Json::array(),
                                Json::object(),
                                Json::array({1}),
                                Json::array({1, 1, "x"}),
                                {{"format", 1}}};
  Json json = Json::parse(text);
  for (std::uint64_t left = 1 + stream.below(3); left > 0; --left) {
    std::vector<Json*> nodes;
    list_nodes(json, nodes);
    Json& node = *nodes[stream.below(nodes.size())];
    switch (stream.below(6)) {
      case 0:
        if (node.is_structured() && !node.empty())
          node.erase(std::next(node.begin(), static_cast<int>(stream.below(node.size()))));
        break;
      case 1:
        if (node.is_object() && !node.empty()) {
          const auto entry = std::next(node.begin(), static_cast<int>(stream.below(node.size())));
          const Json value = *entry;
          node[entry.key() + "s"] = value;
        }
        break;
      case 2:
        node = Json(*nodes[stream.below(nodes.size())]);
        break;
      case 3:
        if (node.is_array()) node.push_back(values[stream.below(std::size(values))]);
        break;
      default:
        node = values[stream.below(std::size(values))];
    }
  }
  std::string out = json.dump(static_cast<int>(stream.below(2)) * 2);
  if (stream.below(4) == 0) mutate(out, stream, text);
  return out;
}

// Plans, tracks and lists of shards, valid ones and golden damaged ones.
std::vector<std::string> texts() {
  std::vector<std::string> out{Manifest({{"00000.h5", 5, 7}, {"100001.h5", 1ull << 40, ~0ull}}).json()};
  for (const auto& entry : std::filesystem::recursive_directory_iterator(kGolden))
    if (entry.path().extension() == ".json") out.push_back(read_whole(entry.path()));
  return out;
}

void feed(const std::string& bytes) {
  static const Surroundings surroundings(kGolden);
  static MemoryFile file;
  CHECK_NOTHROW(read_forged(surroundings, file, bytes));
}

std::vector<std::string> good_containers() {
  std::vector<std::string> out;
  for (const auto& [name, expected] : golden_rows(kGolden))
    if (name.ends_with(".h5") && !name.starts_with("bad_")) out.push_back(name);
  return out;
}

}  // namespace

TEST_CASE("thousands of mutated files give values or a one-sentence error") {
  std::vector<std::string> seeds;
  for (const auto& [name, expected] : golden_rows(kGolden))
    if (name.ends_with(".h5")) seeds.push_back(read_whole(kGolden / name));
  REQUIRE(!seeds.empty());
  const long inputs = inputs_wanted(4000);
  RandomStream stream(31, Purpose::kSample, static_cast<std::uint32_t>(inputs));
  for (long i = 0; i < inputs; ++i) {
    std::string bytes = seeds[stream.below(seeds.size())];
    mutate(bytes, stream, seeds[stream.below(seeds.size())]);
    CAPTURE(i);
    feed(bytes);
  }
}

TEST_CASE("thousands of mutated plans, tracks and lists of shards are accepted or refused in one sentence") {
  const std::vector<std::string> seeds = texts();
  REQUIRE(seeds.size() >= 10);
  const long inputs = inputs_wanted(6000);
  RandomStream stream(33, Purpose::kSample, static_cast<std::uint32_t>(inputs));
  for (long i = 0; i < inputs; ++i) {
    const std::string bytes = mutate_json(seeds[stream.below(seeds.size())], stream);
    CAPTURE(bytes);
    feed(bytes);
  }
}

TEST_CASE("deeply nested JSON is refused in every position of a value") {
  const std::string deep = std::string(300000, '[') + std::string(300000, ']');
  const Surroundings surroundings(kGolden);
  MemoryFile file;
  for (const std::string& text : texts()) {
    Json json = Json::parse(text);
    std::prev(json.end()).value() = "HERE";
    std::string bytes = json.dump();
    bytes.replace(bytes.find("\"HERE\""), 6, deep);
    file.hold(bytes);
    CHECK(!surroundings.read(file.path()).error.empty());
  }
}

TEST_CASE("containers with altered attributes or content and valid checksums give values or a one-sentence error") {
  const std::vector<std::string> names = good_containers();
  REQUIRE(names.size() >= 10);
  const Surroundings surroundings(kGolden);
  const long inputs = inputs_wanted(4000);
  RandomStream stream(34, Purpose::kSample, static_cast<std::uint32_t>(inputs));
  MemoryFile file;
  std::map<std::string, long> refused;
  for (long i = 0; i < inputs; ++i) {
    // Shards have tests of their own: most inputs are an index, a basis or recipes.
    const char* others[] = {"index.h5", "basis.h5", "recipes.h5"};
    const std::string name = stream.below(4) == 0 ? names[stream.below(names.size())] : others[stream.below(3)];
    std::string bytes = read_whole(kGolden / name);
    const Container container(kGolden / name);
    if (stream.below(3) == 0) {
      bytes = with_attributes(bytes, mutate_json(container.json(), stream));
    } else {
      const std::size_t dataset = stream.below(container.datasets().size());
      std::vector<std::byte> chunk = first_chunk(kGolden / name, container.datasets()[dataset].name);
      std::string content(reinterpret_cast<const char*>(chunk.data()), chunk.size());
      mutate(content, stream, content);
      content.resize(chunk.size());
      bytes = with_chunk(bytes, dataset, 0, std::as_bytes(std::span(content)));
    }
    file.hold(bytes);
    CAPTURE(i);
    CAPTURE(name);
    CHECK_NOTHROW(refused[name] += !surroundings.read(file.path()).error.empty());
  }
  for (const char* name : {"index.h5", "basis.h5", "recipes.h5"}) CHECK(refused[name] > inputs / 20);
}

TEST_CASE("arbitrary stored arrays with valid checksums decode to floats or a one-sentence error") {
  const char* names[] = {"fp32.h5", "fp16.h5", "int8.h5", "sqrt8.h5", "uniform.h5", "topk.h5", "transform.h5"};
  std::vector<StoredGroup> groups;
  const Surroundings surroundings(kGolden);
  for (const char* name : names) groups.push_back(stored_group(kGolden / name, surroundings.basis()));
  const long inputs = inputs_wanted(8000);
  RandomStream stream(32, Purpose::kSample, static_cast<std::uint32_t>(inputs));
  long refused = 0;
  std::vector<float> out;
  for (long i = 0; i < inputs; ++i) {
    // The plain encodings are simple: most inputs are for the last three.
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
      group.codec->decode(spans, kViews, out);
    } catch (const Error&) {
      ++refused;
    }
  }
  CHECK(refused > inputs / 20);
  CHECK(refused < inputs);
}

TEST_CASE("a payload decoded with another calibration gives floats or a one-sentence error") {
  const Surroundings surroundings(kGolden);
  const StoredGroup group = stored_group(kGolden / "transform.h5", surroundings.basis());
  const std::vector<std::span<const std::byte>> spans(group.arrays.begin(), group.arrays.end());
  std::vector<float> out(group.values);
  const long inputs = inputs_wanted(3000);
  RandomStream stream(35, Purpose::kSample, static_cast<std::uint32_t>(inputs));
  long refused = 0;
  for (long i = 0; i < inputs; ++i) {
    FeatureBasis basis = *surroundings.basis();
    const auto change = [&](auto& numbers) {
      auto& number = numbers[stream.below(numbers.size())];
      number = static_cast<std::decay_t<decltype(number)>>(stream.bits());
    };
    for (std::uint64_t left = 1 + stream.below(4); left > 0; --left) {
      const std::uint64_t which = stream.below(4);
      if (which == 0) change(basis.scale);
      if (which == 1) change(basis.expected);
      if (which == 2) change(basis.levels);
      if (which == 3) basis.confidence = static_cast<std::uint16_t>(stream.bits());
    }
    CAPTURE(i);
    try {
      basis.check("basis.h5");
      TransformCodec(std::make_shared<const FeatureBasis>(basis), 0.01).decode(spans, kViews, out);
    } catch (const Error&) {
      ++refused;
    }
  }
  CHECK(refused > inputs / 20);
  CHECK(refused < inputs);
}
