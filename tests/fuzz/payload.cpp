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
#include "tests/fuzz/target.h"

namespace {

using namespace vitrine;

struct PayloadDecoder {
  TransformCodec codec;
  std::uint32_t views;
};

std::vector<std::unique_ptr<PayloadDecoder>> make_cases() {
  std::vector<std::unique_ptr<PayloadDecoder>> cases;
  for (const auto& [name, views] : testing::kPayloadCases) {
    const auto path = std::filesystem::path(VITRINE_GOLDEN) / "payloads" / (std::string(name) + ".basis.h5");
    // Not make_unique: a codec can be neither copied nor moved.
    cases.emplace_back(
        new PayloadDecoder{TransformCodec(std::make_shared<const FeatureBasis>(read_basis(path)), 0.5), views});
  }
  return cases;
}

struct DecodedPayload {
  std::string error;
  std::vector<float> items;
};

DecodedPayload decode(const PayloadDecoder& chosen, std::span<const std::byte> payload, Isa isa) {
  const IsaOverride override(isa);
  DecodedPayload out{{}, std::vector<float>(chosen.codec.basis().values() * chosen.views)};
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

FUZZ_TARGET(payload) {
  static const auto cases = make_cases();
  if (size == 0) return 0;
  const PayloadDecoder& chosen = *cases[data[0] % cases.size()];
  // A copy, so that a sanitizer sees the first byte after it.
  const std::vector<std::byte> payload(reinterpret_cast<const std::byte*>(data + 1),
                                       reinterpret_cast<const std::byte*>(data + size));
  const DecodedPayload portable = decode(chosen, payload, Isa::kPortable), best = decode(chosen, payload, best_isa());
  if (portable.error != best.error || !testing::same_bits(portable.items, best.items)) std::abort();
  return 0;
}
