#include "common/codec/transform/encoder/encode.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "common/base/error.h"
#include "common/codec/transform/blocks.h"
#include "common/codec/transform/encoder/step.h"
#include "common/codec/transform/nibble_coder.h"
#include "common/codec/transform/payload.h"

namespace vitrine::transform {
namespace {

void append_varint(std::vector<std::uint8_t>& out, std::uint64_t value) {
  for (; value >= 128; value >>= 7) out.push_back(static_cast<std::uint8_t>(128 | (value & 127)));
  out.push_back(static_cast<std::uint8_t>(value));
}

// Bits of a plane coded at a level.
double cost(std::uint64_t ones, std::uint64_t bits, int level) {
  const double p = probability(level);
  return -static_cast<double>(ones) * std::log2(p) - static_cast<double>(bits - ones) * std::log2(1 - p);
}

std::vector<std::uint8_t> pack_group(const FeatureBasis& basis, Quantiser& quantiser, Quantised& group,
                                     Tallies* tallies) {
  // `numbers` and `planes` hold all kinds, one after another.
  static thread_local std::vector<std::uint8_t> numbers, planes, signs, low, escapes;
  static thread_local std::vector<std::uint64_t> scratch;
  const std::array<std::uint64_t, kKinds> counts = quantiser.finish(group);
  const auto fit = [](std::vector<std::uint8_t>& bytes, std::size_t n) {
    if (bytes.size() < n) bytes.resize(n);
    return bytes.data();
  };
  std::size_t low_room = 0, items = 0;
  for (int kind = 0; kind < kKinds; ++kind) {
    const std::size_t own = counts[static_cast<std::size_t>(kind)];
    items += own;
    low_room += own * static_cast<std::size_t>(low_bits(class_of_kind(kind))) / 8;
  }
  SplitStreams streams;
  std::uint8_t* at = fit(numbers, items + kKinds * kSlack);
  for (std::size_t kind = 0; kind < kKinds; ++kind) {
    streams.next[kind] = at;
    at += counts[kind] + kSlack;
  }
  streams.signs.bytes = fit(signs, items / 8 + kSlack);
  streams.low.bytes = fit(low, low_room + kSlack);
  streams.escapes = fit(escapes, 3 * items + kSlack);
  *streams.signs.bytes = *streams.low.bytes = 0;
  for (const Half& half : quantiser.halves())
    blocks().split(group.magnitude.data() + half.begin, group.classes.data() + half.begin,
                   group.second.data() + half.first_word, group.negative.data() + half.first_word,
                   half.end - half.begin, streams);

  PayloadHeader header{};
  header.step = group.step;
  header.step_sixteenths = static_cast<std::int16_t>(sixteenths(group.step));
  header.version = kPayloadVersion;
  header.sign_bits = static_cast<std::uint32_t>(streams.signs.position);
  header.low_bits = static_cast<std::uint32_t>(streams.low.position);
  header.escape_bytes = static_cast<std::uint32_t>(streams.escapes - escapes.data());
  std::vector<std::uint8_t> out(kPayloadHeaderBytes);
  struct Plane {
    std::size_t at;
    std::uint64_t bits;
    int level;
  };
  std::vector<Plane> made;
  std::size_t used = 0;
  const std::uint8_t* own_numbers = numbers.data();
  for (std::size_t kind = 0; kind < kKinds; own_numbers += counts[kind] + kSlack, ++kind) {
    if (counts[kind] == 0) continue;
    header.kinds[kind / 32] |= 1u << kind % 32;
    append_varint(out, counts[kind]);
    std::array<std::uint64_t, kPlanes> ones{};
    fit(planes, used + (counts[kind] / 8 + 1 + kPlaneGap) * kPlanes + kSlack);
    const int count = blocks().collapse(own_numbers, counts[kind], planes.data() + used, ones.data(), scratch);
    // The basis's levels, unless the group's own save more than they cost.
    const std::uint8_t* usual = basis.levels.data() + kind * kPlanes;
    std::vector<std::uint8_t> own;
    double saved = 0;
    std::uint64_t bits = counts[kind];
    for (std::size_t t = 0; t < kPlanes && bits > 0; bits = ones[t], ++t) {
      if (tallies != nullptr) tallies->add_plane(kind, t, ones[t], bits);
      if (static_cast<int>(t) == count) break;
      own.push_back(static_cast<std::uint8_t>(best_level(ones[t], bits)));
      saved += cost(ones[t], bits, usual[t]) - cost(ones[t], bits, own.back()) - 8;
      made.push_back({used, bits, 0});
      used += (bits + 7) / 8 + kPlaneGap;
    }
    const bool is_own = saved > 0;
    out.push_back(static_cast<std::uint8_t>(own.size() | (is_own ? kOwnLevels : 0)));
    if (is_own) out.insert(out.end(), own.begin(), own.end());
    for (std::size_t t = 0; t < own.size(); ++t) made[made.size() - own.size() + t].level = is_own ? own[t] : usual[t];
  }
  NibbleEncoder encoder;
  for (const Plane& plane : made)
    encoder.add({planes.data() + plane.at, (plane.bits + 7) / 8}, plane.bits, plane.level);
  const std::vector<std::uint8_t> entropy = encoder.finish();
  header.entropy_bytes = static_cast<std::uint32_t>(entropy.size());
  out.insert(out.end(), signs.begin(), signs.begin() + static_cast<std::ptrdiff_t>((header.sign_bits + 7) / 8));
  out.insert(out.end(), low.begin(), low.begin() + static_cast<std::ptrdiff_t>((header.low_bits + 7) / 8));
  out.insert(out.end(), escapes.begin(), escapes.begin() + static_cast<std::ptrdiff_t>(header.escape_bytes));
  out.insert(out.end(), entropy.begin(), entropy.end());
  header.bytes = static_cast<std::uint32_t>(out.size());
  std::memcpy(out.data(), &header, sizeof header);
  return out;
}

}  // namespace

std::vector<std::uint8_t> encode_items(const FeatureBasis& basis, const Slots& slots, std::span<const float> items,
                                       double energy, std::uint32_t views, double max_error, Tallies* tallies) {
  if (items.size() > kMaxItems)
    fail("a group of ", views, " views has ", items.size(), " values; the transform encoding allows at most ",
         kMaxItems, ", choose a smaller plan.group");
  static thread_local Quantiser quantiser;
  quantiser.begin(basis, slots, items, views);
  Quantised& group = quantise_to(max_error, basis, slots, items, energy, views, quantiser);
  return pack_group(basis, quantiser, group, tallies);
}

}  // namespace vitrine::transform
