// libFuzzer over payloads of the transform encoding: the first byte chooses a golden payload's basis and views. Every
// body must give the same verdict and the same bits, and finite values.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "common/base/error.h"
#include "common/cache/track.h"
#include "common/codec/isa.h"
#include "common/codec/transform/transform_codec.h"

namespace {

using namespace vitrine;

struct Case {
  TransformCodec codec;
  std::uint32_t views;
};

std::vector<std::unique_ptr<Case>> make_cases() {
  std::vector<std::unique_ptr<Case>> cases;
  for (const auto& [name, views] : {std::pair{"steps", 3u},
                                    {"fine", 9u},
                                    {"own", 40u},
                                    {"view64", 64u},
                                    {"view128", 128u},
                                    {"column", 50u},
                                    {"single", 5u},
                                    {"kinds", 12u},
                                    {"coarse", 32u}}) {
    const auto path = std::filesystem::path(VITRINE_GOLDEN) / "payloads" / (std::string(name) + ".basis.h5");
    cases.push_back(std::make_unique<Case>(
        Case{TransformCodec(std::make_shared<const FeatureBasis>(read_basis(path)), 0.5), views}));
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
  if (portable.error != best.error || portable.items.size() != best.items.size() ||
      std::memcmp(portable.items.data(), best.items.data(), best.items.size() * sizeof(float)) != 0)
    std::abort();
  return 0;
}
