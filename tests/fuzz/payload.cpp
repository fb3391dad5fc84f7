// Payloads of the transform encoding: the first byte chooses a golden payload's basis and views (cases.h), the rest is
// the payload. Both bodies, portable and best, must give the same error or the same bits, and finite values.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "common/base/error.h"
#include "common/cache/track.h"
#include "common/codec/isa.h"
#include "common/codec/transform/transform_codec.h"
#include "tests/fuzz/cases.h"

namespace {

using namespace vitrine;

struct Case {
  TransformCodec codec;
  std::uint32_t views;
};

std::vector<std::unique_ptr<Case>> make_cases() {
  std::vector<std::unique_ptr<Case>> cases;
  for (const auto& [name, views] : testing::kPayloadCases) {
    const auto path = std::filesystem::path(VITRINE_GOLDEN) / "payloads" / (std::string(name) + ".basis.h5");
    // Not make_unique: a codec can be neither copied nor moved.
    cases.emplace_back(new Case{TransformCodec(std::make_shared<const FeatureBasis>(read_basis(path)), 0.5), views});
  }
  return cases;
}

struct Outcome {
  std::string error;
  std::vector<float> items;
};
Outcome outcome(const Case& chosen, std::span<const std::byte> payload, Isa isa) {
  const IsaOverride override(isa);
  Outcome out{{}, std::vector<float>(chosen.codec.basis().values() * chosen.views)};
  try {
    chosen.codec.decode_items(payload, chosen.views, out.items);
    for (const float x : out.items)
      if (!std::isfinite(x)) std::abort();
  } catch (const Error& error) {
    out = {error.what(), {}};
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto cases = make_cases();
  if (size == 0) return 0;
  const Case& chosen = *cases[data[0] % cases.size()];
  // A copy, so that a sanitizer sees the first byte after it.
  const std::vector<std::byte> payload(reinterpret_cast<const std::byte*>(data + 1),
                                       reinterpret_cast<const std::byte*>(data + size));
  const Outcome portable = outcome(chosen, payload, Isa::kPortable), best = outcome(chosen, payload, best_isa());
  if (portable.error != best.error || !testing::same_bits(portable.items, best.items)) std::abort();
  return 0;
}
