// The transform encoding: what its parts promise, and the bound in every group.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <utility>

#include "common/base/error.h"
#include "common/codec/loss.h"
#include "common/codec/transform/blocks.h"
#include "common/codec/transform/encoder/eigen.h"
#include "common/codec/transform/encoder/encode.h"
#include "common/codec/transform/entropy.h"
#include "common/codec/transform/items.h"
#include "common/codec/transform/linear.h"
#include "common/codec/transform/nibble_coder.h"
#include "common/codec/transform/payload.h"
#include "common/codec/transform/transform_codec.h"
#include "common/codec/transform/encoder/calibrator.h"
#include "tests/support/message.h"
#include "tests/support/testing.h"

using namespace vitrine;
using vitrine::testing::has, vitrine::testing::message_of;

namespace {

// Features with a spectrum, smooth over positions, a mean map and heavy-tailed views, like a teacher's.
std::vector<float> features(std::uint32_t views, std::uint32_t c, std::uint32_t h, std::uint32_t w,
                            std::uint32_t seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal;
  std::vector<float> mixing(std::size_t{c} * c), means(std::size_t{c} * h * w), out;
  std::mt19937 fixed(7);
  for (std::size_t i = 0; i < mixing.size(); ++i)
    mixing[i] = normal(fixed) / std::pow(1.0f + static_cast<float>(i % c), 0.9f);
  for (float& m : means) m = 3 * normal(fixed);
  for (std::uint32_t v = 0; v < views; ++v) {
    const float contrast = std::exp(0.5f * normal(generator));
    std::vector<float> latent(means.size());
    for (std::size_t k = 0; k < c; ++k) {
      const float shared = normal(generator);
      for (std::size_t p = 0; p < h * w; ++p)
        latent[k * h * w + p] = contrast * (0.7f * shared + 0.7f * normal(generator));
    }
    for (std::size_t k = 0; k < c; ++k)
      for (std::size_t p = 0; p < h * w; ++p) {
        float x = means[k * h * w + p];
        for (std::size_t l = 0; l < c; ++l) x += mixing[k * c + l] * latent[l * h * w + p];
        out.push_back(x);
      }
  }
  return out;
}

std::shared_ptr<const FeatureBasis> calibrated(std::uint32_t c, std::uint32_t h, std::uint32_t w,
                                               double max_error = 0.01) {
  Calibrator calibrator(c, h, w);
  calibrator.add(features(64, c, h, w, 1), 64);
  return std::make_shared<const FeatureBasis>(calibrator.finish(max_error, 32));
}

double relative_error(const FeatureBasis& basis, std::span<const float> raw, std::span<const float> decoded) {
  double error = 0, energy = 0;
  for (std::size_t i = 0; i < raw.size(); ++i) {
    error += std::pow(static_cast<double>(decoded[i]) - raw[i], 2);
    energy += std::pow(static_cast<double>(raw[i]) - basis.mean[i % basis.values()], 2);
  }
  return error / energy;
}

std::vector<float> decoded(const TransformCodec& codec, const std::vector<Array>& arrays, std::uint32_t views) {
  std::vector<float> out(codec.basis().values() * views);
  const std::span<const std::byte> payload(arrays[0].bytes);
  codec.decode({&payload, 1}, views, out);
  return out;
}

}  // namespace

TEST_CASE("the eigenvectors of a symmetric matrix are recovered as an orthonormal basis") {
  for (const std::size_t n : {1u, 2u, 3u, 17u, 64u}) {
    std::mt19937 generator(static_cast<std::uint32_t>(n));
    std::normal_distribution<double> normal;
    std::vector<double> matrix(n * n);
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j <= i; ++j) matrix[i * n + j] = matrix[j * n + i] = normal(generator);
    const transform::SymmetricEigen eigen = transform::symmetric_eigen(matrix, n);
    double worst = 0;
    for (std::size_t k = 0; k < n; ++k) {
      if (k > 0) CHECK(eigen.values[k - 1] >= eigen.values[k]);
      for (std::size_t i = 0; i < n; ++i) {
        double product = 0, dot = 0;
        for (std::size_t j = 0; j < n; ++j) {
          product += matrix[i * n + j] * eigen.vectors[k * n + j];
          dot += eigen.vectors[i * n + j] * eigen.vectors[k * n + j];
        }
        worst = std::max({worst, std::fabs(product - eigen.values[k] * eigen.vectors[k * n + i]),
                          std::fabs(dot - (i == k ? 1 : 0))});
      }
    }
    CHECK(worst < 1e-12 * static_cast<double>(n));
  }
}

TEST_CASE("bit streams round-trip, at a cost close to their entropy") {
  transform::NibbleEncoder encoder;
  std::mt19937 generator(3);
  struct Stream {
    std::vector<std::uint8_t> packed;
    std::uint64_t bits;
    int level;
  };
  std::vector<Stream> streams;
  double entropy = 0;
  for (const double p : {0.003, 0.02, 0.1, 0.3, 0.5, 0.9})
    for (const std::uint64_t bits : {std::uint64_t{1}, std::uint64_t{7}, std::uint64_t{4096}, std::uint64_t{30001}}) {
      Stream s{std::vector<std::uint8_t>(bits / 8 + 1), bits, 0};
      std::uint64_t ones = 1;
      s.packed[0] = 1;
      for (std::uint64_t i = 1; i < bits; ++i)
        if (std::bernoulli_distribution(p)(generator)) {
          s.packed[i / 8] |= static_cast<std::uint8_t>(1u << i % 8);
          ++ones;
        }
      s.level = transform::best_level(ones, bits);
      const double q = static_cast<double>(ones) / static_cast<double>(bits);
      if (q < 1) entropy -= static_cast<double>(bits) * (q * std::log2(q) + (1 - q) * std::log2(1 - q));
      streams.push_back(std::move(s));
      encoder.add(streams.back().packed, bits, streams.back().level);
    }
  const std::vector<std::uint8_t> coded = encoder.finish();
  CHECK(8.0 * static_cast<double>(coded.size()) < 1.015 * entropy + 8 * 4 * transform::kStates);
  transform::NibbleDecoder decoder(coded);
  for (const Stream& s : streams) {
    std::vector<std::uint8_t> packed((s.bits + 7) / 8 + 4);
    REQUIRE(decoder.take(s.bits, s.level, packed.data()));
    bool same = true;
    for (std::uint64_t i = 0; i < s.bits; ++i)
      same = same && (packed[i / 8] >> i % 8 & 1) == (s.packed[i / 8] >> i % 8 & 1);
    CHECK(same);
  }
  CHECK(decoder.ends());
}

TEST_CASE("both implementations of the entropy coder write the same words and read them back") {
  std::mt19937 generator(4);
  for (const int level : {0, 15, 30, 47, transform::kLevels - 1})
    for (const std::size_t count :
         {std::size_t{1}, std::size_t{31}, std::size_t{32}, std::size_t{1000}, std::size_t{4096}}) {
      const transform::NibbleModel& model = transform::nibble_model(level);
      std::bernoulli_distribution one(1 / (1 + std::exp2((30 - level) / 3.0)));
      std::vector<std::uint8_t> packed((count + 1) / 2 + 64);
      for (std::size_t i = 0; i < 4 * count; ++i) packed[i / 8] |= static_cast<std::uint8_t>(one(generator) << i % 8);
      std::vector<std::uint16_t> words[2];
      transform::NibbleStates before[2], after[2];
      for (const int any : {0, 1}) {
        std::vector<std::uint16_t> room(count + transform::kStates);
        std::uint16_t* next = room.data() + room.size();
        before[any].fill(transform::kLowState);
        transform::blocks(any == 1).code(model, packed.data(), count, before[any], next);
        words[any].assign(next, room.data() + room.size());
      }
      CHECK(words[0] == words[1]);
      CHECK(before[0] == before[1]);
      const auto* first = reinterpret_cast<const std::uint8_t*>(words[0].data());
      const std::uint8_t* end = first + 2 * words[0].size();
      const std::uint8_t* reached[2];
      std::size_t done[2];
      for (const int any : {0, 1}) {
        std::vector<std::uint8_t> back(packed.size());
        after[any] = before[0];
        reached[any] = first;
        done[any] = transform::blocks(any == 1).decode(model, count, after[any], reached[any], end, back.data());
        CHECK(std::equal(back.begin(), back.begin() + static_cast<std::ptrdiff_t>(done[any] / 2), packed.begin()));
      }
      CHECK(done[0] == done[1]);
      CHECK(done[0] % transform::kStates == 0);
      // A quarter of a word a nibble: only the last four rounds and what is no whole one lack words.
      if (level == 30) CHECK(done[0] + 6 * transform::kStates > count);
      CHECK(reached[0] == reached[1]);
      CHECK(after[0] == after[1]);
    }
}

TEST_CASE("trellis states advance as in the table, and stay without an item") {
  std::mt19937_64 generator(14);
  transform::TrellisStates states;
  std::array<int, 64> expected{};
  for (int round = 0; round < 200; ++round) {
    const std::uint64_t odd = generator(), active = round % 3 == 0 ? generator() : ~std::uint64_t{0};
    states.advance(odd, active);
    for (std::size_t i = 0; i < 64; ++i) {
      if ((active >> i & 1) != 0) expected[i] = transform::kNextState[expected[i]][odd >> i & 1];
      int state = 0;
      for (std::size_t b = 0; b < 3; ++b) state |= static_cast<int>(states.bit[b] >> i & 1) << b;
      REQUIRE(state == expected[i]);
    }
  }
}

TEST_CASE("both implementations of items and bit planes write the same streams and read them back") {
  std::mt19937 generator(5);
  for (const std::size_t count :
       {1u, 63u, 64u, 65u, 1000u, 3000u, 40000u}) {  // the last: one class of more than 256 words
    std::vector<std::uint16_t> magnitude(count);
    std::vector<std::uint8_t> classes(count + 64);
    std::vector<std::uint64_t> second(count / 64 + 1), negative(count / 64 + 1);
    for (std::size_t i = 0; i < count; ++i) {
      classes[i] =
          static_cast<std::uint8_t>(count > 10000 && generator() % 2 == 0 ? 17 : generator() % transform::kClasses);
      magnitude[i] =
          static_cast<std::uint16_t>(generator() % 3 == 0 ? generator() % (generator() % 40 == 0 ? 60000 : 40) : 0);
      if (generator() % 2 == 0) negative[i / 64] |= std::uint64_t{1} << i % 64;
    }
    transform::TrellisStates states;
    for (std::size_t begin = 0; begin < count; begin += 64) {
      std::uint64_t odd = 0, active = 0;
      for (std::size_t i = begin; i < std::min(begin + 64, count); ++i) {
        active |= std::uint64_t{1} << (i - begin);
        odd |= std::uint64_t{magnitude[i] & 1u} << (i - begin);
      }
      second[begin / 64] = states.second();
      states.advance(odd, active);
    }
    const auto is_second = [&second](std::size_t i) { return (second[i / 64] >> i % 64 & 1) != 0; };
    magnitude.resize(count + 64);
    std::vector<std::uint8_t> memory[2];
    for (int any = 0; any < 2; ++any) {
      std::array<std::uint64_t, transform::kKinds> counts{}, right{};
      transform::blocks(any == 1).count(classes.data(), second.data(), count, counts.data());
      for (std::size_t i = 0; i < count; ++i)
        ++right[static_cast<std::size_t>(transform::kind_of(classes[i], is_second(i)))];
      CHECK(counts == right);
      // Signs, low bits, escapes; then each kind's numbers, and its planes.
      const std::size_t each = 3 * count + 128,
                        of_planes = (count / 8 + 1 + transform::kPlaneGap) * transform::kPlanes + 64;
      memory[any].assign(3 * each + transform::kKinds * (each + of_planes), 0);
      transform::SplitStreams streams;
      std::uint8_t* at = memory[any].data();
      const auto take = [&at](std::size_t bytes) { return std::exchange(at, at + bytes); };
      streams.signs.bytes = take(each);
      streams.low.bytes = take(each);
      std::uint8_t* const escapes = take(each);
      streams.escapes = escapes;
      std::uint8_t* numbers_of[transform::kKinds];
      for (int kind = 0; kind < transform::kKinds; ++kind) streams.next[kind] = numbers_of[kind] = take(each);
      transform::blocks(any == 1).split(magnitude.data(), classes.data(), second.data(), negative.data(), count,
                                        streams);
      std::vector<std::uint64_t> scratch;
      const std::uint8_t* strings[transform::kKinds][transform::kPlanes] = {};
      int planes[transform::kKinds];
      for (int kind = 0; kind < transform::kKinds; ++kind) {
        const std::uint8_t* string = at;
        std::uint64_t ones[transform::kPlanes],
            bits = static_cast<std::uint64_t>(streams.next[kind] - numbers_of[kind]);
        std::memset(streams.next[kind], 0, 64);  // what lies beyond the numbers is anybody's
        planes[kind] =
            bits == 0 ? 0
                      : transform::blocks(any == 1).collapse(numbers_of[kind], bits, take(of_planes), ones, scratch);
        for (int t = 0; t < planes[kind]; bits = ones[t], ++t) {
          strings[kind][t] = string;
          string += (bits + 7) / 8 + transform::kPlaneGap;
        }
        std::uint8_t* const end = const_cast<std::uint8_t*>(string);
        std::memset(end, 0, static_cast<std::size_t>(at - end));
        for (int t = 0; t + 1 < planes[kind]; ++t) {  // as are the gaps
          std::uint8_t* const gap = const_cast<std::uint8_t*>(strings[kind][t + 1]) - transform::kPlaneGap;
          std::memset(gap, 0, transform::kPlaneGap);
        }
      }
      for (int reader = 0; reader < 2; ++reader) {
        transform::MergedStreams back;
        std::vector<std::vector<std::uint8_t>> numbers;
        for (std::size_t kind = 0; kind < transform::kKinds; ++kind) {
          const auto own = static_cast<std::uint64_t>(streams.next[kind] - numbers_of[kind]);
          numbers.emplace_back(own + 128);
          transform::blocks(reader == 1).expand(strings[kind], planes[kind], own, numbers.back().data());
          back.next[kind] = numbers.back().data();
          back.end[kind] = back.next[kind] + own;
        }
        back.signs.bytes = streams.signs.bytes;
        back.low.bytes = streams.low.bytes;
        back.low_end = streams.low.position;
        back.escapes = escapes;
        back.escapes_end = streams.escapes;
        std::vector<float> items(count + 64);
        std::vector<std::uint8_t> seen(count + 64), seen_by_encoder(count + 64);
        transform::blocks(reader == 1).merge(classes.data(), count, back, 0.3f, items.data(), nullptr, seen.data());
        transform::blocks(reader == 1).context_levels(magnitude.data(), second.data(), count, seen_by_encoder.data());
        CHECK(!back.overrun);
        CHECK(back.states.bit == states.bit);
        bool same = true, ended = back.escapes == back.escapes_end && back.low.position == back.low_end &&
                                  back.signs.position == streams.signs.position;
        for (int kind = 0; kind < transform::kKinds; ++kind) ended = ended && back.next[kind] == back.end[kind];
        for (std::size_t i = 0; i < count; ++i) {
          // In steps k, or with the second quantiser k - 1/2, but 5/8 for 1.
          const double k = magnitude[i], steps = !is_second(i) || k == 0 ? k : k == 1 ? 0.625 : k - 0.5;
          const float level = static_cast<float>(8 * steps) * 0.3f;
          const bool is_negative = k != 0 && (negative[i / 64] >> i % 64 & 1) != 0;
          same = same && items[i] == (is_negative ? -level : level) && seen[i] == seen_by_encoder[i] &&
                 seen[i] == 2 * std::min(k, 15.0) - (is_second(i) && k != 0 ? 1 : 0);
        }
        CHECK(same);
        CHECK(ended);
      }
    }
    CHECK(memory[0] == memory[1]);
  }
}

namespace {

// Items of some steps, the last and some before not of all trellises, with classes and what magnitudes cost.
struct ToSearch {
  std::vector<float> items;
  std::vector<std::uint8_t> classes;
  std::vector<transform::TrellisStep> steps;
  transform::TrellisCosts costs{};
  ToSearch(std::size_t count, std::uint64_t last, std::uint32_t seed) : items(64 * count), classes(64 * count) {
    std::mt19937 generator(seed);
    for (float& y : items) y = std::normal_distribution<float>(0, generator() % 50 == 0 ? 1e6f : 2)(generator);
    for (std::uint8_t& c : classes) c = static_cast<std::uint8_t>(generator() % transform::kClasses);
    for (std::size_t t = 0; t < count; ++t)
      steps.push_back(
          {static_cast<std::uint32_t>(64 * t), t + 1 == count || t % 7 == 5 ? last >> t % 7 * 5 : ~std::uint64_t{0}});
    for (std::size_t c = 0; c < transform::kClasses; ++c) {
      const auto at = static_cast<float>(c);
      costs.first[c] = 0.12f - 0.003f * at;
      costs.second[c] = 0.07f - 0.002f * at;
      costs.zero[c] = 0.02f - 0.0005f * at;
      costs.each[c] = 0.004f + 0.001f * at;
    }
  }
};

struct Settled {
  std::vector<transform::TrellisChoices> choices;
  transform::TrellisStates end;
  std::vector<std::uint16_t> magnitude;
  std::vector<std::uint64_t> second, negative;
  std::array<double, transform::kTrellisGroups> errors{};
  Settled(const ToSearch& given, float inverse_step, bool any, std::size_t first = 0,
          std::size_t last = transform::kTrellisGroups)
      : choices(given.steps.size()),
        magnitude(given.items.size()),
        second(given.steps.size()),
        negative(given.steps.size()) {
    const transform::Blocks& blocks = transform::blocks(any);
    for (std::size_t group = first; group < last; ++group)
      blocks.viterbi_forward(given.items.data(), given.classes.data(), given.steps.data(), given.steps.size(),
                             inverse_step, given.costs, group, {}, choices.data(), end);
    blocks.viterbi_backtrack(given.items.data(), given.steps.data(), given.steps.size(), inverse_step, first, last,
                             choices.data(), end, magnitude.data(), second.data(), negative.data(), errors.data());
  }
};

double steps_of(int k, bool second) {
  return transform::level_eighths(k, second) / 8.0;
}

}  // namespace

TEST_CASE("both implementations of the quantiser give the same numbers and report their error") {
  for (const std::size_t count : {1u, 2u, 40u, 80u}) {
    const ToSearch given(count, count == 1 ? 0x123456789ABCDEF1 : 0xFFFFFFF, static_cast<std::uint32_t>(count));
    const float inverse = 1 / 0.7f;
    const Settled wide(given, inverse, false), portable(given, inverse, true);
    CHECK(wide.magnitude == portable.magnitude);
    CHECK(wide.second == portable.second);
    CHECK(wide.negative == portable.negative);
    CHECK(wide.end.bit == portable.end.bit);
    CHECK(wide.errors == portable.errors);
    std::array<double, transform::kTrellisGroups> errors{};
    transform::TrellisStates states;
    for (std::size_t t = 0; t < count; ++t) {
      std::uint64_t odd = 0;
      for (std::size_t i = 0; i < 64; ++i) {
        if ((given.steps[t].active >> i & 1) == 0) continue;
        const int k = wide.magnitude[64 * t + i];
        const bool second = (states.second() >> i & 1) != 0;
        CHECK(((wide.second[t] >> i & 1) != 0) == second);
        if (k != 0) CHECK(((wide.negative[t] >> i & 1) != 0) == (given.items[64 * t + i] < 0));
        const double x = std::fabs(static_cast<double>(given.items[64 * t + i])) * inverse;
        errors[i / 16] += std::pow(x - steps_of(k, second), 2);
        odd |= std::uint64_t{k & 1u} << i;
      }
      states.advance(odd, given.steps[t].active);
    }
    CHECK(states.bit == wide.end.bit);
    for (std::size_t group = 0; group < transform::kTrellisGroups; ++group)
      CHECK(wide.errors[group] == doctest::Approx(errors[group]).epsilon(1e-4));
    // A group by itself is as with the others, and leaves them alone.
    const Settled alone(given, inverse, false, 2, 3);
    CHECK(alone.errors[2] == wide.errors[2]);
    for (std::size_t i = 0; i < alone.magnitude.size(); ++i)
      CHECK(alone.magnitude[i] == (i % 64 / 16 == 2 ? wide.magnitude[i] : 0));
    for (std::size_t t = 0; t < count; ++t) {
      constexpr std::uint64_t kOwn = 0xFFFF00000000;
      CHECK(alone.second[t] == (wide.second[t] & kOwn));
      CHECK(alone.negative[t] == (wide.negative[t] & kOwn));
    }

    std::vector<std::uint8_t> seen[2];
    double error[2];
    std::vector<float> zero(transform::kClasses + 16);
    float* aligned = zero.data();
    while (reinterpret_cast<std::uintptr_t>(aligned) % 64 != 0) ++aligned;
    for (int c = 0; c < transform::kClasses; ++c) aligned[c] = 0.5f + 0.02f * static_cast<float>(c);
    for (const int any : {0, 1}) {
      seen[any].resize(given.items.size());
      error[any] = transform::blocks(any == 1).sketch(given.items.data(), given.classes.data(), given.items.size() - 3,
                                                      inverse, aligned, seen[any].data());
    }
    CHECK(seen[0] == seen[1]);
    CHECK(std::bit_cast<std::uint64_t>(error[0]) == std::bit_cast<std::uint64_t>(error[1]));
  }
}

TEST_CASE("the Viterbi search finds the cheapest path through a trellis") {
  constexpr std::size_t kSteps = 5;
  constexpr int kMax = 5;
  ToSearch given(kSteps, ~std::uint64_t{0}, 8);
  for (float& y : given.items) y = std::fmod(y, 3.0f);
  for (transform::TrellisStep& step : given.steps) step.active = ~std::uint64_t{0};
  const Settled found(given, 1, false);
  // Steps that a path costs, beside those of zeros of the first quantiser.
  const auto cost = [&given](std::size_t trellis, const std::array<int, kSteps>& path) {
    double total = 0;
    int state = 0;
    for (std::size_t t = 0; t < kSteps; ++t) {
      const std::size_t i = 64 * t + trellis, c = given.classes[i];
      const bool second = (state & 1) != 0;
      const double off = std::fabs(static_cast<double>(given.items[i])) - steps_of(path[t], second);
      const float base = path[t] == 0 ? (second ? given.costs.zero[c] : 0.0f)
                                      : (second ? given.costs.second[c] : given.costs.first[c]);
      total += off * off / 4 + static_cast<double>(base + given.costs.each[c] * static_cast<float>(path[t]));
      state = transform::kNextState[state][path[t] & 1];
    }
    return total;
  };
  for (std::size_t trellis = 0; trellis < 64; ++trellis) {
    std::array<int, kSteps> path{}, own;
    for (std::size_t t = 0; t < kSteps; ++t) own[t] = found.magnitude[64 * t + trellis];
    double least = 1e9;
    for (bool more = true; more;) {
      least = std::min(least, cost(trellis, path));
      more = false;
      for (int& k : path) {
        if (++k <= kMax) {
          more = true;
          break;
        }
        k = 0;
      }
    }
    CHECK(cost(trellis, own) <= least + 1e-5);
  }
}

TEST_CASE("the bound holds in every group, for any shape and bound, and steps are not wasted") {
  struct Shape {
    std::uint32_t c, h, w;
  };
  for (const Shape& shape : {Shape{24, 6, 6}, Shape{16, 1, 1}, Shape{5, 3, 7}, Shape{1, 4, 4}}) {
    const auto basis = calibrated(shape.c, shape.h, shape.w);
    basis->check("basis");
    for (const double bound : {0.3, 0.01, 0.0001}) {
      const TransformCodec codec(basis, bound);
      for (const std::uint32_t views : {1u, 32u, 40u, 64u, 128u}) {
        const std::vector<float> raw = features(views, shape.c, shape.h, shape.w, 10 + views);
        const std::vector<float> back = decoded(codec, codec.encode(raw, views), views);
        const double error = relative_error(*basis, raw, back);
        CHECK(error <= bound * 1.0001);
        if (views > 1 && shape.c > 1) CHECK(error > 0.9 * bound);
        if (raw.size() > 20000) CHECK(error > 0.995 * bound);
      }
    }
  }
}

TEST_CASE("independent channels are not rotated and get a higher confidence; others are rotated") {
  std::mt19937 generator(12);
  std::exponential_distribution<float> exponential;
  const std::uint32_t c = 24, views = 128;
  std::vector<float> apart(std::size_t{views} * c * 36);
  for (std::size_t i = 0; i < apart.size(); ++i)  // Laplace, of variances 1, 1/2, 1/3, ...
    apart[i] = exponential(generator) * (generator() % 2 == 0 ? 1.0f : -1.0f) /
               std::sqrt(1.0f + static_cast<float>(i / 36 % c));
  Calibrator calibrator(c, 6, 6);
  calibrator.add(apart, views);
  const FeatureBasis basis = calibrator.finish(0.01, 32);
  CHECK(std::count(basis.vectors.begin(), basis.vectors.end(), 0.0f) == c * (c - 1));
  CHECK(basis.confidence > FeatureBasis{}.confidence);
  const auto turned = calibrated(c, 6, 6);
  CHECK(turned->confidence < basis.confidence);
  CHECK(std::count(turned->vectors.begin(), turned->vectors.end(), 0.0f) == 0);
}

TEST_CASE("decoded coefficients and features agree, and equal input gives equal bytes") {
  const auto basis = calibrated(24, 6, 6);
  const TransformCodec codec(basis, 0.01);
  const std::vector<float> raw = features(32, 24, 6, 6, 3);
  const std::vector<Array> arrays = codec.encode(raw, 32);
  CHECK(arrays[0].bytes == codec.encode(raw, 32)[0].bytes);
  std::vector<float> coefficients(raw.size()), features_of(raw.size());
  codec.decode_coefficients(arrays[0].bytes, 32, coefficients);
  transform::from_coefficients(*basis, coefficients, 32, features_of);
  CHECK(features_of == decoded(codec, arrays, 32));
  transform::to_coefficients(*basis, raw, 32, coefficients);
  CHECK(codec.encode_coefficients(coefficients, 32) == arrays[0].bytes);
}

TEST_CASE("the error measured on coefficients equals that of features when the basis only rotates channels") {
  for (const bool is_spatial : {false, true})
    for (const double bound : {0.2, 0.01, 1e-4}) {
      FeatureBasis made = *calibrated(24, 6, 6, bound);
      CHECK(made.spatial());
      if (!is_spatial) made.rows.clear(), made.columns.clear();
      CHECK(made.orthonormal());
      const auto basis = std::make_shared<const FeatureBasis>(made);
      const TransformCodec codec(basis, bound);
      const std::vector<float> raw = features(32, 24, 6, 6, 3);
      std::vector<float> coefficients(raw.size()), wanted(raw.size()), back(raw.size());
      const std::vector<Array> arrays = codec.encode(raw, 32, coefficients);
      CHECK(arrays[0].bytes == codec.encode(raw, 32)[0].bytes);
      transform_coefficients(*basis, raw, 32, wanted);
      CHECK(coefficients == wanted);
      codec.decode_coefficients(arrays[0].bytes, 32, back);
      const CodecLoss quick = measure_loss_in_basis({24, 6, 6}, 32, raw, basis->mean, coefficients, back);
      const CodecLoss full = measure_loss("features", {24, 6, 6}, 32, raw, decoded(codec, arrays, 32), basis->mean);
      CHECK(quick.relative_error() == doctest::Approx(full.relative_error()).epsilon(1e-6));
      CHECK(quick.worst_group == doctest::Approx(full.worst_group).epsilon(1e-6));
      CHECK(quick.worst_token == doctest::Approx(full.worst_token).epsilon(1e-5));  // one token: few roundings cancel
      CHECK(quick.energy == full.energy);
      CHECK(quick.centred_by_basis);
      made.vectors[5] += 1e-4f;
      CHECK(!made.orthonormal());
    }
}

TEST_CASE("a bound that no step can keep is refused") {
  const auto basis = calibrated(24, 6, 6);
  const std::vector<float> raw = features(32, 24, 6, 6, 3);
  CHECK_THROWS_AS(TransformCodec(basis, 1e-13).encode(raw, 32), Error);
  const TransformCodec exact(basis, 1e-7);  // some magnitudes come near to the largest that there are
  CHECK(relative_error(*basis, raw, decoded(exact, exact.encode(raw, 32), 32)) < 1.01e-7);
}

TEST_CASE("a group with its energy in one or a few values keeps any bound") {
  const auto basis = calibrated(7, 4, 5);
  const transform::Slots slots(4, 5);
  std::mt19937 generator(5);
  for (const double bound : {0.3, 0.01, 1e-6})
    for (int trial = 0; trial < 40; ++trial) {
      std::vector<float> items(basis->values());
      double energy = 0;
      for (float& y : items) y = std::normal_distribution<float>()(generator);
      for (int giants = 1 + trial % 2; giants > 0; --giants)
        items[generator() % items.size()] = trial % 3 == 0 ? 3e7f : 300.0f;
      for (const float y : items) energy += static_cast<double>(y) * y;
      const auto payload = transform::encode_items(*basis, slots, items, energy, 1, bound);
      std::vector<float> back(items.size());
      TransformCodec(basis, bound).decode_items(std::as_bytes(std::span(payload)), 1, back);
      double error = 0;
      for (std::size_t channel = 0; channel < 7; ++channel)
        for (std::size_t slot = 0; slot < slots.count; ++slot)
          error += std::pow(static_cast<double>(back[channel * slots.count + slots.position[slot]]) -
                                items[channel * slots.count + slot],
                            2);
      CHECK(error <= bound * energy * 1.000001);
    }
}

TEST_CASE("extreme groups are encoded: only the mean, one giant view, values that calibration never saw") {
  const auto basis = calibrated(24, 6, 6);
  const TransformCodec codec(basis, 0.01);
  std::vector<float> raw;
  for (int v = 0; v < 4; ++v) raw.insert(raw.end(), basis->mean.begin(), basis->mean.end());
  CHECK(decoded(codec, codec.encode(raw, 4), 4).size() == raw.size());
  raw = features(4, 24, 6, 6, 4);
  for (std::size_t i = 0; i < basis->values(); ++i) raw[i] *= 1e6f;
  CHECK(relative_error(*basis, raw, decoded(codec, codec.encode(raw, 4), 4)) <= 0.010001);
  std::mt19937 generator(9);
  for (float& x : raw) x = std::normal_distribution<float>(0, 50)(generator);
  CHECK(relative_error(*basis, raw, decoded(codec, codec.encode(raw, 4), 4)) <= 0.010001);
  raw[5] = std::nanf("");
  CHECK_THROWS_AS(codec.encode(raw, 4), Error);
}

TEST_CASE("payloads that no encoder makes are refused: steps, sizes of groups and bases, missing words") {
  const auto basis = calibrated(6, 3, 3);
  const TransformCodec codec(basis, 0.01);
  const std::vector<float> raw = features(8, 6, 3, 3, 3);
  const std::vector<std::byte> payload = codec.encode(raw, 8)[0].bytes;
  std::vector<float> out(basis->values() * 8);
  const auto refusal = [&](const std::vector<std::byte>& bytes) {
    return message_of([&] { codec.decode_items(bytes, 8, out); });
  };
  const auto with = [&](std::size_t at, auto value) {
    std::vector<std::byte> bytes = payload;
    std::memcpy(bytes.data() + at, &value, sizeof value);
    return bytes;
  };
  for (const float step : {0.0f, -1.0f, 1e-40f, std::nextafter(0x1p-110f, 0.0f), std::nextafter(0x1p70f, 1e30f), 3e38f,
                           std::numeric_limits<float>::infinity(), std::nanf("")})
    CHECK(has(refusal(with(4, step)), "its step is out of range"));
  for (const float step : {0x1p-110f, 0x1p70f}) {  // the largest magnitude has a value
    CHECK(refusal(with(4, step)) == "");
    CHECK(std::ranges::all_of(out, [](float x) { return std::isfinite(x); }));
    CHECK(std::isfinite(step / 8 * static_cast<float>(transform::level_eighths(65535, false))));
  }

  // Words that are lacking are told at the first plane, not after the last.
  std::uint32_t entropy_bytes;
  std::memcpy(&entropy_bytes, payload.data() + 32, sizeof entropy_bytes);
  REQUIRE(entropy_bytes > 4 * transform::kStates + 8);
  std::vector<std::byte> shorter(payload.begin(), payload.end() - 2);
  for (const auto& [at, value] :
       {std::pair{std::size_t{0}, payload.size() - 2}, {std::size_t{32}, std::size_t{entropy_bytes} - 2}}) {
    const auto word = static_cast<std::uint32_t>(value);
    std::memcpy(shorter.data() + at, &word, sizeof word);
  }
  CHECK(has(refusal(shorter), "its entropy coder did not end where it began"));
  transform::NibbleDecoder decoder(
      {reinterpret_cast<const std::uint8_t*>(payload.data() + payload.size() - entropy_bytes), 4 * transform::kStates});
  std::vector<std::uint8_t> packed(1 << 17);
  CHECK(!decoder.take(1 << 20, 30, packed.data()));

  // Groups that 32 bits cannot count: an error before any memory is asked for.
  const transform::Slots slots(3, 3);
  transform::ItemDecoder items;
  for (const std::uint32_t views : {0u, (1u << 29) / 54 + 1, ~0u})
    CHECK(has(message_of([&] { items.begin(*basis, slots, payload, views); }), "its group has an impossible size"));
  for (const auto& [c, h, w] : {std::array{1u, 65536u, 65536u},
                                {1u, 65537u, 65536u},
                                {1u << 28, 1u, 4u},
                                {0u, 1u, 1u},
                                {1u, 0u, 5u},
                                {~0u, ~0u, ~0u}}) {
    FeatureBasis wrapped = *basis;
    wrapped.channels = c, wrapped.height = h, wrapped.width = w;
    CHECK(has(message_of([&] { wrapped.check("basis.h5"); }), "basis.h5: a basis of"));
  }
}

TEST_CASE("a damaged payload gives an error or other numbers, and never crashes") {
  const auto basis = calibrated(6, 3, 3);
  // The second has low bits, escapes, and halves of more than two steps.
  for (const auto& [bound, views] : {std::pair{0.01, 8u}, {1e-7, 40u}}) {
    const TransformCodec codec(basis, bound);
    std::vector<float> raw = features(views, 6, 3, 3, 3);
    raw[5] *= 300;
    const std::vector<Array> arrays = codec.encode(raw, views);
    std::vector<float> out(basis->values() * views);
    std::size_t refused = 0;
    const std::size_t bits = arrays[0].bytes.size() * 8;
    for (std::size_t bit = 0; bit < bits; ++bit) {
      std::vector<std::byte> bytes = arrays[0].bytes;
      bytes[bit / 8] ^= std::byte{static_cast<unsigned char>(1u << bit % 8)};
      try {
        codec.decode_coefficients(bytes, views, out);
      } catch (const Error&) {
        ++refused;
      }
    }
    CHECK(refused > bits / 4);
    CHECK(refused < bits);
    for (std::size_t size = 0; size < arrays[0].bytes.size(); ++size)
      CHECK_THROWS_AS(codec.decode_coefficients(std::span(arrays[0].bytes).first(size), views, out), Error);
  }
}
