#include "common/codec/transform/payload.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>

#include "common/base/error.h"
#include "common/codec/transform/blocks.h"
#include "common/codec/transform/nibble_coder.h"
#include "common/codec/transform/loops.h"

namespace vitrine::transform {
namespace {

// Headers, words and bit strings are copied without byte swaps.
static_assert(std::endian::native == std::endian::little, "payloads are little-endian: this machine needs byte swaps");
static_assert(std::numeric_limits<float>::is_iec559);

[[noreturn]] void damaged(const char* what) {
  throw Error(ErrorKind::kCorrupt,
              {.what = text("payload: ", what),
               .remedy = "the chunk is damaged or belongs to another basis, copy or make the file again"});
}

// Reads a payload from the front.
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
  // `to` only grows, and gets `slack` bytes after the copy.
  void copy(std::uint64_t bytes, std::vector<std::uint8_t>& to, std::uint64_t slack) {
    const std::uint8_t* from = take(bytes);
    if (to.size() < bytes + slack) to.resize(bytes + slack);
    std::memcpy(to.data(), from, bytes);
  }
};

}  // namespace

void ItemDecoder::begin(const FeatureBasis& basis, const Slots& slots, std::span<const std::byte> payload,
                        std::uint32_t views) {
  const std::uint64_t values = std::uint64_t{basis.channels} * slots.count;  // FeatureBasis::check() bounds them
  if (values == 0 || views == 0 || views > kMaxItems / values) damaged("its group has an impossible size");
  const std::uint64_t items = values * views;
  PayloadHeader header;
  if (payload.size() < kPayloadHeaderBytes) damaged("it is shorter than a header");
  std::memcpy(&header, payload.data(), sizeof header);
  if (header.version != kPayloadVersion)
    throw Error(ErrorKind::kNewer,
                {.what = text("payload: has version ", header.version, ", which this program does not know"),
                 .remedy = "use the version of vitrine that made it"});
  if (header.bytes < kPayloadHeaderBytes || header.bytes > payload.size()) damaged("its length is impossible");
  if (!(header.step >= kMinStep && header.step <= kMaxStep)) damaged("its step is out of range");
  Source source{reinterpret_cast<const std::uint8_t*>(payload.data()) + kPayloadHeaderBytes,
                reinterpret_cast<const std::uint8_t*>(payload.data()) + header.bytes};
  // The side information of each kind; the planes follow at the end.
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
  // Kind by kind: decodes the planes, each with as many bits as the one before has ones, and expands them to the items'
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
  const std::size_t padded = (std::size_t{slots.count} * views + 127) / 64 * 64;
  seen_.assign(std::max(contexts_.seen_bytes(), padded), 0);
  if (classes_.size() < padded) classes_.resize(padded);
  if (map_.size() < padded) map_.resize(padded);
  some_.resize(slots.count);
  targets_.clear();
  const bool together = views % 64 == 0;
  if (!together && items_.size() < padded) items_.resize(padded);
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
