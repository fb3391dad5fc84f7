// The bytes that each encoder makes of fixed values, held across commits and on every instruction set.
//
// A hash that changes does not change the format: FORMAT.md leaves the encoder its choices (of a step, of paths, of
// shifts), and existing caches stay readable. But a track that is extracted or recoded again gets other bytes than
// before, and two versions that make parts of one cache make different ones. So change a hash only with an encoder that
// is meant to write other bytes; if FORMAT.md has to follow, the golden files do too (tests/golden). Uniform compares
// sizes from the machine's zstd to choose a shift; topk's tails and transform's steps go through exp, log, exp2 and pow
// of its C library, which another one may round differently.
//
// The values are small integers over a power of two, and the bases are Hadamard matrices, whose products with them are
// exact in any order of summation. A basis from a Calibrator would depend on Eigen.
#include <bit>
#include <memory>
#include <string>
#include <vector>

#include "common/base/hash.h"
#include "common/base/philox.h"
#include "common/codec/isa.h"
#include "common/codec/make_codec.h"
#include "common/codec/transform/entropy.h"
#include "common/codec/transform/payload.h"
#include "common/codec/transform/transform_codec.h"
#include "tests/support/testing.h"

using namespace vitrine;

namespace {

// Most are near 0 and few are large, as in features and logits: products of two draws, in units of 1/64.
std::vector<float> held_values(std::size_t n, std::uint64_t seed) {
  RandomStream stream(seed, Purpose::kSample);
  std::vector<float> values(n);
  for (float& x : values) {
    const auto a = static_cast<int>(stream.below(65)) - 32, b = static_cast<int>(stream.below(33));
    x = static_cast<float>(a * b) / 64.0f;
  }
  return values;
}

// From 0 to 1, in units of 1/1024.
std::vector<float> held_probabilities(std::size_t n) {
  RandomStream stream(3, Purpose::kSample);
  std::vector<float> values(n);
  for (float& x : values) x = static_cast<float>(stream.below(1025) * stream.below(33) / 32) / 1024.0f;
  return values;
}

// Orthonormal: entries of ±1 / sqrt(n), n a power of 4.
std::vector<float> hadamard(std::uint32_t n) {
  float size = 1;
  for (std::uint32_t m = n; m > 1; m /= 4) size /= 2;
  std::vector<float> out(std::size_t{n} * n);
  for (std::uint32_t i = 0; i < n; ++i)
    for (std::uint32_t j = 0; j < n; ++j) out[std::size_t{i} * n + j] = std::popcount(i & j) % 2 == 0 ? size : -size;
  return out;
}

FeatureBasis basis_by_hand(std::uint32_t channels, std::uint32_t side, bool over_positions) {
  FeatureBasis basis;
  basis.channels = channels, basis.height = basis.width = side, basis.views = 1;
  basis.vectors = hadamard(channels);
  if (over_positions) basis.rows = basis.columns = hadamard(side);
  for (std::uint32_t c = 0; c < channels; ++c) {
    basis.eigenvalues.push_back(static_cast<float>(channels - c));
    for (std::uint32_t p = 0; p < basis.positions(); ++p) {
      basis.mean.push_back(static_cast<float>(c % 3) / 4);
      basis.scale.push_back(static_cast<std::int16_t>(40 - static_cast<int>(4 * c)));
    }
  }
  for (std::uint32_t i = 0; i < FeatureBasis::kLevels; ++i)
    basis.expected.push_back(static_cast<std::uint16_t>(1 + i * i / 6));
  for (std::uint32_t i = 0; i < transform::kKinds * transform::kPlanes; ++i)
    basis.levels.push_back(static_cast<std::uint8_t>(transform::kLevels / 4 + i % (transform::kLevels / 2)));
  basis.check("basis_by_hand");
  return basis;
}

struct Held {
  const char* name;
  CodecSettings settings;
  std::vector<std::uint32_t> shape;
  std::uint32_t views;
  std::shared_ptr<const FeatureBasis> basis;
  std::string hashes;  // XXH3 of the arrays, in their order
};

std::vector<Held> held() {
  const auto plain = [](Encoding encoding) { return CodecSettings{.encoding = encoding}; };
  const auto uniform_at = [](double bound) {
    return CodecSettings{.encoding = Encoding::kUniform, .max_error = bound};
  };
  const auto topk_at = [](double bound) {
    return CodecSettings{.encoding = Encoding::kTopk, .max_error = bound, .kept = 7, .temperatures = {1, 4}};
  };
  const auto transform_at = [](double bound, const FeatureBasis& basis) {
    return CodecSettings{.encoding = Encoding::kTransform, .max_error = bound, .basis = basis.hash()};
  };
  const auto over_channels = std::make_shared<const FeatureBasis>(basis_by_hand(16, 4, false)),
             over_both = std::make_shared<const FeatureBasis>(basis_by_hand(16, 4, true)),
             over_neither = std::make_shared<const FeatureBasis>(basis_by_hand(1, 5, false));
  const std::vector<std::uint32_t> map{16, 4, 4}, logits{300};
  return {
      {"fp32", plain(Encoding::kFp32), map, 5, nullptr, "a5e9876f0615791a"},
      {"fp16", plain(Encoding::kFp16), map, 5, nullptr, "8662b68689d5441d"},
      {"int8 of maps", plain(Encoding::kInt8), map, 5, nullptr, "ae666be92edf5825 faf598fa3ae91714"},
      {"int8 of vectors", plain(Encoding::kInt8), logits, 5, nullptr, "72bff93302cfae1e 415fba08886f6e2b"},
      {"sqrt8", plain(Encoding::kSqrt8), {3, 7, 7}, 5, nullptr, "6fe973ce155f37fc"},
      {"uniform", uniform_at(1.0 / 64), logits, 64, nullptr, "95cc35c29c404aaf 607611ebc8f3ecf5"},
      {"uniform, coarse", uniform_at(0.75), logits, 64, nullptr, "848e9db2280f143e d78045115f1db610"},
      {"topk in fp16", topk_at(0), logits, 5, nullptr, "653a16e91eac2e74 81f903133912cfa9 9c3dc2bf88691cbc"},
      {"topk in steps", topk_at(1.0 / 64), logits, 5, nullptr, "8e9fcc8bd7072424 81f903133912cfa9 9c3dc2bf88691cbc"},
      {"transform over channels", transform_at(0.01, *over_channels), map, 64, over_channels, "2200b5d6829779a8"},
      {"transform over channels, fine", transform_at(1e-6, *over_channels), map, 3, over_channels, "06f285dfd8801cc0"},
      {"transform over channels and positions", transform_at(0.01, *over_both), map, 64, over_both, "ca50ac148793a1f6"},
      {"transform, coarse", transform_at(0.4, *over_both), map, 33, over_both, "f73fe030391c97e2"},
      {"transform of one channel", transform_at(0.02, *over_neither), {1, 5, 5}, 40, over_neither, "31edd2bc24ffeaf9"},
  };
}

}  // namespace

TEST_CASE("each encoder makes the bytes that it has always made, with every instruction set") {
  for (const Held& one : held()) {
    const auto codec = make_codec(one.settings, one.shape, one.basis);
    const std::size_t n = view_values(one.shape) * one.views;
    const std::vector<float> values =
        one.settings.encoding == Encoding::kSqrt8 ? held_probabilities(n) : held_values(n, one.views);
    for (const Isa set : {Isa::kPortable, Isa::kAvx2, Isa::kAvx512}) {
      if (set > best_isa()) continue;
      const IsaOverride override(set);
      const std::string name = one.name, with = isa_name(set);
      CAPTURE(name);
      CAPTURE(with);
      std::string hashes;
      for (const Array& array : codec->encode(values, one.views))
        hashes += (hashes.empty() ? "" : " ") + hexadecimal(xxh3(array.bytes));
      CHECK(hashes == one.hashes);
    }
  }
}
