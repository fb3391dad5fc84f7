#include "common/codec/transform/blocks.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <random>
#include <utility>

#include "common/codec/transform/encoder/encode.h"
#include "common/codec/transform/entropy.h"
#include "common/codec/transform/nibble_coder.h"
#include "common/codec/transform/payload.h"
#include "tests/support/testing.h"

using namespace vitrine;

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
      // At a quarter of a word per nibble, only the last four rounds and the incomplete one lack words.
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
        std::memset(streams.next[kind], 0, 64);  // bytes beyond the numbers are unspecified
        planes[kind] =
            bits == 0 ? 0
                      : transform::blocks(any == 1).collapse(numbers_of[kind], bits, take(of_planes), ones, scratch);
        for (int t = 0; t < planes[kind]; bits = ones[t], ++t) {
          strings[kind][t] = string;
          string += (bits + 7) / 8 + transform::kPlaneGap;
        }
        std::uint8_t* const end = const_cast<std::uint8_t*>(string);
        std::memset(end, 0, static_cast<std::size_t>(at - end));
        for (int t = 0; t + 1 < planes[kind]; ++t) {  // and so are the gaps
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

// Items of some steps, some of which do not have items in all trellises, with classes and costs of magnitudes.
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
    // Searching one group gives the same result as searching all, and does not change the others.
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
  // The cost of a path in squared steps, relative to zeros of the first quantiser.
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
