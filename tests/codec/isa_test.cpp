// Implementations for different instruction sets: which one runs, and that all give the same bits.
#include "common/codec/isa.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <random>

#include "common/codec/dequantise.h"
#include "common/codec/half.h"
#include "common/codec/transform/encoder/encode.h"
#include "common/codec/transform/context_numbers.h"
#include "common/codec/transform/items.h"
#include "common/codec/transform/transform_codec.h"
#include "tests/support/message.h"
#include "tests/support/testing.h"

using namespace vitrine;
using namespace vitrine::testing;

namespace {

std::vector<Isa> available() {
  std::vector<Isa> all;
  for (const Isa isa : {Isa::kPortable, Isa::kAvx2, Isa::kAvx512})
    if (isa <= best_isa()) all.push_back(isa);
  return all;
}

template <class Number>
bool same_bits(const std::vector<Number>& a, const std::vector<Number>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(Number)) == 0;
}

// An arbitrary basis of given sizes; the codec does not require that it fits the data.
FeatureBasis basis_of(std::uint32_t channels, std::uint32_t height, std::uint32_t width, int scale) {
  FeatureBasis basis;
  basis.channels = channels, basis.height = height, basis.width = width;
  basis.mean.assign(basis.values(), 0.0f);
  basis.vectors.assign(std::size_t{channels} * channels, 0.0f);
  for (std::size_t i = 0; i < channels; ++i) basis.vectors[i * channels + i] = 1;
  basis.eigenvalues.assign(channels, 1.0f);
  basis.scale.assign(basis.values(), static_cast<std::int16_t>(scale));
  for (std::size_t i = 0; i < FeatureBasis::kLevels; ++i)
    basis.expected.push_back(
        static_cast<std::uint16_t>(std::clamp(std::exp2(static_cast<double>(i) / 32), 1.0, 65535.0)));
  basis.levels = transform::usual_levels();
  return basis;
}

}  // namespace

TEST_CASE("VITRINE_ISA names an instruction set that is known and available") {
  CHECK(parse_isa("") == best_isa());
  CHECK(parse_isa("portable") == Isa::kPortable);
  for (const Isa isa : {Isa::kPortable, Isa::kAvx2, Isa::kAvx512}) {
    const std::string name = isa_name(isa);
    if (isa <= best_isa())
      CHECK(parse_isa(name) == isa);
    else
      CHECK(message_of([&] { parse_isa(name); }).starts_with("VITRINE_ISA = " + name + " is not available"));
  }
  for (const char* name : {"sse", "AVX2", "portable ", "0"})
    CHECK(message_of([&] { parse_isa(name); }) ==
          std::string("VITRINE_ISA = ") + name + " is unknown; expected portable, avx2 or avx512");
  const Isa before = isa();
  {
    const IsaOverride portable(Isa::kPortable);
    CHECK(isa() == Isa::kPortable);
  }
  CHECK(isa() == before);
}

TEST_CASE("the logarithm table of contexts is exact for all integers up to the largest sum") {
  std::uint32_t wrong = 0;
  for (std::uint32_t n = 1; n < transform::kExact; ++n) wrong += transform::log8(n) != transform::log8_by_bits(n);
  CHECK(wrong == 0);
}

TEST_CASE("classes equal FORMAT.md's at the smallest and the largest sums, with every instruction set") {
  constexpr std::uint32_t kHeight = 3, kWidth = 5, kViews = 19, kChannels = 80;
  const transform::Slots slots(kHeight, kWidth);
  for (const int seen_now : {0, 1, 2 * transform::kSeen})
    for (const std::uint16_t expected : {std::uint16_t{1}, std::uint16_t{700}, std::uint16_t{65535}})
      for (const std::uint16_t confidence : {std::uint16_t{1}, std::uint16_t{64}, std::uint16_t{65535}}) {
        FeatureBasis basis = basis_of(kChannels, kHeight, kWidth, 0);
        basis.expected.assign(FeatureBasis::kLevels, expected);
        basis.confidence = confidence;
        for (const Isa isa : available()) {
          const std::string name = isa_name(isa);
          CAPTURE(name);
          const IsaOverride override(isa);
          transform::Contexts contexts;
          contexts.begin(basis, slots, kViews, 0);
          std::vector<std::uint8_t> seen(contexts.seen_bytes()), classes(slots.count * kViews + 64);
          std::fill_n(seen.begin(), slots.count * kViews, static_cast<std::uint8_t>(seen_now));
          // In integers, as in FORMAT.md: memories of each slot.
          std::vector<std::uint64_t> a(slots.count), b(slots.count);
          const std::uint64_t e = expected, e_most = std::min<std::uint64_t>(e, 10240);
          std::uint64_t wrong = 0, most_a = 0, most_b = 0;
          for (std::uint32_t channel = 0; channel < kChannels; ++channel) {
            contexts.classify(channel, 0, slots.even, seen.data(), classes.data());
            contexts.classify(channel, slots.even, slots.count, seen.data(), classes.data());
            contexts.learn(seen.data());
            for (std::uint32_t s = 0; s < slots.count; ++s) {
              const auto around = static_cast<std::uint64_t>(
                  std::ranges::count_if(slots.neighbours[s], [&](std::uint32_t n) { return n < slots.count; }));
              const std::uint64_t near = s < slots.even ? 0 : around, v = static_cast<std::uint64_t>(seen_now);
              const std::uint64_t top = a[s] + confidence + 128 * v * near;
              const std::uint64_t bottom = b[s] + 16 * confidence + 4 * e_most * near;
              most_a = std::max(most_a, top), most_b = std::max(most_b, bottom);
              const auto log = [](std::uint64_t n) { return transform::log8_by_bits(static_cast<std::uint32_t>(n)); };
              const int expected_class = std::clamp((log(top) + log(e) - log(bottom) + 32) >> 2, 0, 31);
              for (std::uint32_t view = 0; view < kViews; ++view) wrong += classes[s * kViews + view] != expected_class;
              a[s] += 32 * (4 * v + around * v) - (a[s] >> 3);
              b[s] += 4 * e_most + around * e_most - (b[s] >> 3);
            }
          }
          CHECK(wrong == 0);
          if (seen_now == 30 && expected == 65535 && confidence == 65535) {  // close to the bounds
            CHECK(most_a > transform::kMaxPast + 65535);
            CHECK(most_b > 9 * (transform::kMaxPastExpected + 16 * 65535) / 10);
          }
        }
      }
}

TEST_CASE("the codec writes the same bytes and reads the same bits with every instruction set") {
  std::mt19937 generator(5);
  for (const auto& [channels, height, width] : {std::array{7u, 4u, 5u}, {3u, 9u, 17u}, {1u, 1u, 1u}})
    for (const std::uint32_t views : {1u, 3u, 40u, 64u, 128u})
      for (const double bound : {1e-7, 0.01, 0.3}) {
        CAPTURE(channels);
        CAPTURE(views);
        CAPTURE(bound);
        const auto basis = std::make_shared<const FeatureBasis>(basis_of(channels, height, width, 0));
        const transform::Slots slots(height, width);
        std::vector<float> items(basis->values() * views);
        double energy = 0;
        for (std::size_t i = 0; i < items.size(); ++i) {
          const float heavy = generator() % 100 == 0 ? 300 : 1;
          items[i] = heavy * std::normal_distribution<float>()(generator) /
                     static_cast<float>(1 + i * channels / items.size());
          energy += static_cast<double>(items[i]) * items[i];
        }
        std::vector<std::uint8_t> payload;
        std::vector<float> decoded, coefficients;
        for (const Isa isa : available()) {
          const std::string name = isa_name(isa);
          CAPTURE(name);
          const IsaOverride override(isa);
          const auto own = transform::encode_items(*basis, slots, items, energy, views, bound);
          if (isa == Isa::kPortable) payload = own;
          CHECK(own == payload);
          CHECK(own.size() <= transform::max_payload_bytes(items.size()));
          std::vector<float> back(items.size()), maps(items.size());
          const TransformCodec codec(basis, bound);
          codec.decode_items(std::as_bytes(std::span(own)), views, back);
          codec.decode_coefficients(std::as_bytes(std::span(own)), views, maps);
          if (isa == Isa::kPortable) decoded = back, coefficients = maps;
          CHECK(same_bits(back, decoded));
          CHECK(same_bits(maps, coefficients));  // no transform over positions: no product
          // All implementations find the same damage.
          for (std::size_t at = 0; at < own.size(); at += 1 + own.size() / 40) {
            std::vector<std::uint8_t> bad = payload;
            bad[at] ^= static_cast<std::uint8_t>(1u << at % 8);
            const auto outcome = [&](Isa which) {
              const IsaOverride here(which);
              std::ranges::fill(back, 0.0f);
              const std::string error =
                  message_of([&] { codec.decode_items(std::as_bytes(std::span(bad)), views, back); });
              return std::pair(error, error.empty() ? back : std::vector<float>{});
            };
            const auto here = outcome(isa), portable = outcome(Isa::kPortable);
            CHECK(here.first == portable.first);
            CHECK(same_bits(here.second, portable.second));
          }
        }
      }
}

TEST_CASE("the plain encodings' values have the same bits with every instruction set") {
  std::mt19937 generator(6);
  std::vector<float> values(1003);
  for (float& x : values) x = std::normal_distribution<float>(0, 100)(generator);
  std::vector<std::int8_t> q(values.size());
  for (std::int8_t& x : q) x = static_cast<std::int8_t>(generator());
  std::vector<std::uint8_t> roots(values.size());
  for (std::uint8_t& x : roots) x = static_cast<std::uint8_t>(generator());
  const std::vector<float> scales(17, 0.37f);
  std::vector<std::uint16_t> halves_before;
  std::vector<float> before[3];
  for (const Isa isa : available()) {
    const IsaOverride override(isa);
    std::vector<std::uint16_t> halves(values.size());
    std::vector<float> back(values.size()), rows(values.size()), squares(values.size());
    to_half(values, halves);
    from_half(std::as_bytes(std::span(halves)), back);
    std::vector<std::byte> moved(2 * halves.size() + 1);  // to a misaligned address
    std::memcpy(moved.data() + 1, halves.data(), 2 * halves.size());
    std::vector<float> from_odd(values.size());
    from_half(std::span(moved).subspan(1), from_odd);
    CHECK(same_bits(from_odd, back));
    dequantise_rows(q, std::as_bytes(std::span(scales)), rows);
    dequantise_squares(roots, squares);
    if (isa == Isa::kPortable) halves_before = halves, before[0] = back, before[1] = rows, before[2] = squares;
    CHECK(halves == halves_before);
    CHECK(same_bits(back, before[0]));
    CHECK(same_bits(rows, before[1]));
    CHECK(same_bits(squares, before[2]));
  }
}
