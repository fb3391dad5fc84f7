#include "common/codec/transform/payload.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include "common/base/error.h"
#include "common/codec/transform/blocks.h"
#include "common/codec/transform/entropy.h"
#include "common/codec/transform/loops.h"
#include "common/codec/transform/quantise.h"
#include "common/codec/transform/step.h"

namespace vitrine::transform {
namespace {

constexpr std::uint16_t kVersion = 3;
constexpr std::size_t kHeaderBytes = 36;
constexpr std::size_t kSlack = 64;    // after a bit string, for reads and writes of whole words
constexpr unsigned kOwnLevels = 128;  // beside a kind's number of planes: levels follow

struct Header {
  std::uint32_t bytes;
  float step;
  std::int16_t step_sixteenths;
  std::uint16_t version;
  std::uint32_t kinds[2];  // bit k: kind k has items
  std::uint32_t sign_bits, low_bits, escape_bytes, entropy_bytes;
};
static_assert(sizeof(Header) == kHeaderBytes);
// Headers, words and bit strings are copied as they lie.
static_assert(std::endian::native == std::endian::little, "payloads are little-endian: this machine needs byte swaps");
static_assert(std::numeric_limits<float>::is_iec559);

void append_varint(std::vector<std::uint8_t>& out, std::uint64_t value) {
  for (; value >= 128; value >>= 7) out.push_back(static_cast<std::uint8_t>(128 | (value & 127)));
  out.push_back(static_cast<std::uint8_t>(value));
}

// What a plane costs at a level, in bits.
double cost(std::uint64_t ones, std::uint64_t bits, int level) {
  const double p = probability(level);
  return -static_cast<double>(ones) * std::log2(p) - static_cast<double>(bits - ones) * std::log2(1 - p);
}

[[noreturn]] void damaged(const char* what) {
  throw Error(ErrorKind::kCorrupt,
              {.what = text("payload: ", what),
               .remedy = "the chunk is damaged or belongs to another basis, copy or make the file again"});
}

// Bytes of a payload, from the front.
struct Source {
  const std::uint8_t *next, *end;
  const std::uint8_t* take(std::uint64_t bytes) {
    if (bytes > static_cast<std::uint64_t>(end - next)) damaged("it ends too early");
    const std::uint8_t* taken = next;
    next += bytes;
    return taken;
  }
  std::uint8_t byte() { return *take(1); }
  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (int at = 0; at < 63; at += 7) {
      const std::uint8_t part = byte();
      value |= std::uint64_t{part & 127u} << at;
      if (part < 128) return value;
    }
    damaged("a number is too long");
  }
  // `to` only grows, and has `slack` bytes behind what was copied.
  void copy(std::uint64_t bytes, std::vector<std::uint8_t>& to, std::uint64_t slack) {
    const std::uint8_t* from = take(bytes);
    if (to.size() < bytes + slack) to.resize(bytes + slack);
    std::memcpy(to.data(), from, bytes);
  }
};

std::vector<std::uint8_t> pack_group(const FeatureBasis& basis, Quantiser& quantiser, Quantised& group,
                                     Tallies* tallies) {
  // Numbers of all kinds, one kind after another; then their planes likewise.
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
                   group.second.data() + half.first_word, group.minus.data() + half.first_word, half.end - half.begin,
                   streams);

  Header header{};
  header.step = group.step;
  header.step_sixteenths = static_cast<std::int16_t>(sixteenths(group.step));
  header.version = kVersion;
  header.sign_bits = static_cast<std::uint32_t>(streams.signs.position);
  header.low_bits = static_cast<std::uint32_t>(streams.low.position);
  header.escape_bytes = static_cast<std::uint32_t>(streams.escapes - escapes.data());
  std::vector<std::uint8_t> out(kHeaderBytes);
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
    // Levels of the basis unless the group's own save more than they take.
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
                                       double energy, std::uint32_t views, double max_error,
                                       const TransformSteps& steps, Tallies* tallies) {
  if (items.size() > kMaxItems)
    fail("a group of ", views, " views has ", items.size(), " values; the encoding transform takes at most ", kMaxItems,
         ", choose a smaller plan.group");
  static thread_local Quantiser quantiser;
  quantiser.begin(basis, slots, items, views, steps);
  Quantised& group = quantise_to(max_error, basis, slots, items, energy, views, steps, quantiser);
  return pack_group(basis, quantiser, group, tallies);
}

void ItemDecoder::begin(const FeatureBasis& basis, const Slots& slots, std::span<const std::byte> payload,
                        std::uint32_t views) {
  const std::uint64_t values = std::uint64_t{basis.channels} * slots.count;  // FeatureBasis::check() bounds them
  if (values == 0 || views == 0 || views > kMaxItems / values) damaged("no payload has as many values as this group");
  const std::uint64_t items = values * views;
  Header header;
  if (payload.size() < kHeaderBytes) damaged("it is shorter than a header");
  std::memcpy(&header, payload.data(), sizeof header);
  if (header.version != kVersion)
    throw Error(ErrorKind::kNewer,
                {.what = text("payload: has version ", header.version, ", which this program does not know"),
                 .remedy = "use the version of vitrine that made it"});
  if (header.bytes < kHeaderBytes || header.bytes > payload.size()) damaged("its length is impossible");
  if (!(header.step >= kMinStep && header.step <= kMaxStep)) damaged("its step is none that an encoder takes");
  Source source{reinterpret_cast<const std::uint8_t*>(payload.data()) + kHeaderBytes,
                reinterpret_cast<const std::uint8_t*>(payload.data()) + header.bytes};
  // What the header says of each kind; the planes themselves come last.
  struct Kind {
    std::uint64_t count = 0;
    int planes = 0;
    std::array<std::uint8_t, kPlanes> levels{};
  };
  std::array<Kind, kKinds> kinds;
  std::uint64_t total = 0;
  for (std::size_t kind = 0; kind < kKinds; ++kind) {
    if ((header.kinds[kind / 32] >> kind % 32 & 1) == 0) continue;
    Kind& own = kinds[kind];
    own.count = source.varint();
    const unsigned planes = source.byte();
    own.planes = static_cast<int>(planes & ~kOwnLevels);
    total += own.count;
    if (own.planes > kPlanes || own.count == 0 || own.count > items || total > items)
      damaged("a kind has an impossible size");
    for (std::size_t t = 0; t < static_cast<std::size_t>(own.planes); ++t) {
      own.levels[t] = (planes & kOwnLevels) != 0 ? source.byte() : basis.levels[kind * kPlanes + t];
      if (own.levels[t] >= kLevels) damaged("a plane has an impossible level");
    }
  }
  if (total != items || header.kinds[1] >> (kKinds - 32) != 0) damaged("its kinds do not add up to the group");
  if (header.sign_bits > items) damaged("it has more signs than items");
  source.copy((std::uint64_t{header.sign_bits} + 7) / 8, signs_, items / 8 + kSlack);
  source.copy((std::uint64_t{header.low_bits} + 7) / 8, low_, kSlack);
  streams_ = {};
  streams_.signs.bytes = signs_.data();
  sign_bits_ = header.sign_bits;
  streams_.low.bytes = low_.data();
  streams_.low_end = header.low_bits;
  streams_.escapes = source.take(header.escape_bytes);
  streams_.escapes_end = streams_.escapes + header.escape_bytes;
  const std::uint8_t* entropy = source.take(header.entropy_bytes);
  if (source.next != source.end || header.entropy_bytes < 4 * kStates) damaged("its parts do not add up to its length");
  // A kind at a time: its planes, of which each has as many bits as the one before has ones, and from them its items'
  // numbers.
  NibbleDecoder decoder({entropy, header.entropy_bytes});
  if (numbers_.size() < items + (kKinds + 1) * kSlack) numbers_.resize(items + (kKinds + 1) * kSlack);
  std::uint8_t* numbers = numbers_.data();
  for (std::size_t kind = 0; kind < kKinds; ++kind) {
    const Kind& own = kinds[kind];
    std::array<std::size_t, kPlanes> offset{};
    std::size_t at = 0;
    std::uint64_t bits = own.count;
    for (std::size_t t = 0; t < static_cast<std::size_t>(own.planes); ++t) {
      const std::size_t bytes = (bits + 7) / 8 + kSlack;
      if (planes_.size() < at + bytes) planes_.resize(at + bytes);
      if (!decoder.take(bits, own.levels[t], planes_.data() + at))
        damaged("its entropy coder did not end where it began");
      bits = loops().ones_in(planes_.data() + at, bits);
      if (bits == 0) damaged("a plane is empty");
      offset[t] = at;
      at += bytes;
    }
    std::array<const std::uint8_t*, kPlanes> strings{};
    for (std::size_t t = 0; t < static_cast<std::size_t>(own.planes); ++t) strings[t] = planes_.data() + offset[t];
    blocks().expand(strings.data(), own.planes, own.count, numbers);
    streams_.next[kind] = numbers;
    streams_.end[kind] = numbers + own.count;
    numbers += own.count + kSlack;
  }
  if (!decoder.ends()) damaged("its entropy coder did not end where it began");

  basis_ = &basis;
  slots_ = &slots;
  views_ = views;
  channel_ = 0;
  unit_ = header.step / 8;
  contexts_.begin(basis, slots, views, header.step_sixteenths);
  const std::size_t room = (std::size_t{slots.count} * views + 127) / 64 * 64;
  seen_.assign(std::max(contexts_.seen_bytes(), room), 0);
  if (classes_.size() < room) classes_.resize(room);
  if (map_.size() < room) map_.resize(room);
  some_.resize(slots.count);
  targets_.clear();
  const bool together = views % 64 == 0;
  if (!together && items_.size() < room) items_.resize(room);
  for (std::size_t slot = 0; together && slot < slots.count; ++slot)
    for (std::uint32_t view = 0; view < views; view += 64) targets_.push_back(slots.position[slot] * views + view);
}

ChannelItems ItemDecoder::next() {
  contexts_.classify(channel_, 0, slots_->even, seen_.data(), classes_.data());
  merge(0, slots_->even);
  contexts_.classify(channel_, slots_->even, slots_->count, seen_.data(), classes_.data());
  merge(slots_->even, slots_->count);
  contexts_.learn(seen_.data());
  ++channel_;
  loops().mark_rows(slots_->count, views_, seen_.data(), slots_->position.data(), some_.data());
  return {{map_.data(), std::size_t{slots_->count} * views_}, some_};
}

void ItemDecoder::merge(std::uint32_t first, std::uint32_t last) {
  const MergeFunction merge_items = blocks().merge;
  const std::size_t views = views_, begin = first * views, count = (last - first) * views;
  if (!targets_.empty()) {
    merge_items(classes_.data() + begin, count, streams_, unit_, map_.data(), targets_.data() + begin / 64,
                seen_.data() + begin);
    return;
  }
  merge_items(classes_.data() + begin, count, streams_, unit_, items_.data() + begin, nullptr, seen_.data() + begin);
  for (std::size_t slot = first; slot < last; ++slot)
    std::copy_n(items_.data() + slot * views, views, map_.data() + slots_->position[slot] * views);
}

void ItemDecoder::finish() const {
  bool whole = !streams_.overrun && streams_.escapes == streams_.escapes_end &&
               streams_.low.position == streams_.low_end && streams_.signs.position == sign_bits_;
  for (std::size_t kind = 0; kind < kKinds; ++kind) whole = whole && streams_.next[kind] == streams_.end[kind];
  if (!whole) damaged("its streams do not end with the group");
}

}  // namespace vitrine::transform
