// Golden payloads of the transform encoding in tests/golden/payloads: every implementation decodes the same bits, and
// together they cover every branch of a decoder.
#include <algorithm>
#include <cstring>
#include <sstream>

#include "common/base/files.h"
#include "common/base/hash.h"
#include "common/cache/track.h"
#include "common/codec/isa.h"
#include "common/codec/transform/transform_codec.h"
#include "common/codec/transform/trellis.h"
#include "tests/support/files.h"
#include "tests/support/message.h"
#include "tests/support/testing.h"

using namespace vitrine;
using namespace vitrine::testing;

namespace {

const std::filesystem::path kPayloads = std::filesystem::path(VITRINE_GOLDEN) / "payloads";

struct GoldenPayload {
  std::string name, hash;
  std::uint32_t views = 0;
  std::shared_ptr<const FeatureBasis> basis;
  std::string bytes;
};

std::vector<GoldenPayload> golden_payloads() {
  std::vector<GoldenPayload> all;
  std::istringstream table(read_whole(kPayloads / "payloads.tsv"));
  std::string line;
  std::getline(table, line);
  REQUIRE(line == "payload\tviews\titems");
  while (std::getline(table, line)) {
    std::istringstream columns(line);
    GoldenPayload golden;
    columns >> golden.name >> golden.views >> golden.hash;
    REQUIRE_FALSE(columns.fail());
    golden.basis = std::make_shared<const FeatureBasis>(read_basis(kPayloads / (golden.name + ".basis.h5")));
    golden.bytes = read_whole(kPayloads / (golden.name + ".payload"));
    all.push_back(std::move(golden));
  }
  return all;
}

}  // namespace

TEST_CASE("golden payloads decode bit-equal to their table with every implementation") {
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(kPayloads))
    files += entry.path().extension() == ".payload";
  const std::vector<GoldenPayload> all = golden_payloads();
  CHECK(all.size() == files);
  CHECK(files >= 8);
  for (const GoldenPayload& golden : all)
    for (const Isa isa : {Isa::kPortable, Isa::kAvx2, Isa::kAvx512}) {
      if (isa > best_isa()) continue;
      CAPTURE(golden.name);
      const IsaOverride override(isa);
      const TransformCodec codec(golden.basis, 0.5);
      std::vector<float> items(golden.basis->values() * golden.views);
      codec.decode_items(std::as_bytes(std::span(golden.bytes)), golden.views, items);
      char hash[32];
      std::snprintf(hash, sizeof hash, "%016llx",
                    static_cast<unsigned long long>(xxh3(std::as_bytes(std::span(items)))));
      CHECK(hash == golden.hash);
    }
}

TEST_CASE("the golden payloads together cover every branch of a decoder") {
  using namespace transform;
  std::uint64_t kinds = 0;
  std::size_t own = 0, usual = 0, all_planes = 0, without_planes = 0, low = 0, escapes = 0, long_halves = 0,
              partial = 0, whole = 0, spatial = 0, flat = 0;
  std::uint32_t longest_count = 0;
  for (const GoldenPayload& golden : golden_payloads()) {
    const auto word = [&](std::size_t at) {
      std::uint32_t value;
      std::memcpy(&value, golden.bytes.data() + at, sizeof value);
      return value;
    };
    const std::uint64_t present = word(12) | std::uint64_t{word(16)} << 32;
    kinds |= present;
    low += word(24) > 0, escapes += word(28) > 0;
    std::size_t at = 36;
    for (int kind = 0; kind < kKinds; ++kind) {
      if ((present >> kind & 1) == 0) continue;
      std::uint32_t bytes = 1;
      while (static_cast<std::uint8_t>(golden.bytes[at++]) >= 128) ++bytes;
      longest_count = std::max(longest_count, bytes);
      const auto planes = static_cast<std::uint8_t>(golden.bytes[at++]);
      if ((planes & 127) != 0) ((planes & 128) != 0 ? own : usual) += 1;
      all_planes += (planes & 127) == kPlanes, without_planes += (planes & 127) == 0;
      if ((planes & 128) != 0) at += planes & 127;
    }
    const std::uint32_t half = (golden.basis->positions() + 1) / 2 * golden.views;
    long_halves += half > 128 && half % 64 != 0, partial += half < 64, whole += golden.views % 64 == 0;
    (golden.basis->spatial() ? spatial : flat) += 1;
  }
  CHECK(kinds == (std::uint64_t{1} << kKinds) - 1);
  CHECK(own > 0);
  CHECK(usual > 0);
  CHECK(all_planes > 0);
  CHECK(without_planes > 0);
  CHECK(low > 0);
  CHECK(escapes > 0);
  CHECK(long_halves > 0);
  CHECK(partial > 0);
  CHECK(whole >= 2);
  CHECK(spatial > 0);
  CHECK(flat > 0);
  CHECK(longest_count >= 2);
}
