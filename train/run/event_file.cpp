#include "train/run/event_file.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdio>

#include "common/base/crc32c.h"
#include "common/base/error.h"
#include "common/base/files.h"

namespace vitrine {
namespace {

// The parts of Protocol Buffers' wire format that events need.
class Message {
 public:
  Message& integer(int field, std::uint64_t value) {
    key(field, 0);
    varint(value);
    return *this;
  }
  Message& fixed64(int field, double value) {
    key(field, 1);
    little_endian(std::bit_cast<std::uint64_t>(value), 8);
    return *this;
  }
  Message& fixed32(int field, float value) {
    key(field, 5);
    little_endian(std::bit_cast<std::uint32_t>(value), 4);
    return *this;
  }
  Message& bytes(int field, std::string_view value) {
    key(field, 2);
    varint(value.size());
    out_ += value;
    return *this;
  }
  Message& packed(int field, std::span<const double> values) {
    key(field, 2);
    varint(8 * values.size());
    for (const double value : values) little_endian(std::bit_cast<std::uint64_t>(value), 8);
    return *this;
  }
  const std::string& text() const { return out_; }

 private:
  void key(int field, unsigned wire_type) { varint(static_cast<std::uint64_t>(field) << 3 | wire_type); }
  void varint(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) out_ += static_cast<char>(value | 0x80);
    out_ += static_cast<char>(value);
  }
  void little_endian(std::uint64_t value, int count) {
    for (int i = 0; i < count; ++i, value >>= 8) out_ += static_cast<char>(value);
  }

  std::string out_;
};

// Field numbers of event.proto and summary.proto.
namespace event {
constexpr int kWallTime = 1, kStep = 2, kFileVersion = 3, kSummary = 5, kSessionLog = 7;
}
namespace session_log {
constexpr int kStatus = 1;
constexpr std::uint64_t kStart = 1;
}  // namespace session_log
namespace summary {
constexpr int kValue = 1;
}
namespace value {
constexpr int kTag = 1, kSimple = 2, kImage = 4, kHistogram = 5;
}
namespace image {
constexpr int kHeight = 1, kWidth = 2, kColorspace = 3, kEncoded = 4;
constexpr std::uint64_t kRgb = 3;
}  // namespace image
namespace histogram {
constexpr int kMin = 1, kMax = 2, kNum = 3, kSum = 4, kSumSquares = 5, kLimits = 6, kCounts = 7;
}

constexpr std::string_view kPrefix = "events.out.tfevents.";

std::uint64_t seconds_in(const std::string& name) {
  std::uint64_t seconds = 0;
  std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), seconds);
  return seconds;
}

// Readers take the files of a directory in the order of their names, so a clock that was set back must not count.
std::string next_name(const std::vector<std::string>& earlier) {
  auto seconds = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count());
  for (const std::string& name : earlier) seconds = std::max(seconds, seconds_in(name));
  char out[96];
  std::snprintf(out, sizeof out, "%s%010llu.%06zu.vitrine", std::string(kPrefix).c_str(),
                static_cast<unsigned long long>(seconds), earlier.size());
  return out;
}

std::string summary_value(const Message& value) {
  return Message().bytes(event::kSummary, Message().bytes(summary::kValue, value.text()).text()).text();
}

}  // namespace

std::string tf_record(std::string_view data) {
  const auto little_endian = [](std::uint64_t value, int count) {
    std::string out;
    for (int i = 0; i < count; ++i, value >>= 8) out += static_cast<char>(value);
    return out;
  };
  const auto masked = [&](std::string_view bytes) {
    const std::uint32_t crc = crc32c(bytes);
    return little_endian(((crc >> 15) | (crc << 17)) + 0xa282ead8u, 4);
  };
  const std::string length = little_endian(data.size(), 8);
  return length + masked(length) + std::string(data) + masked(data);
}

EventFile::EventFile(const std::filesystem::path& directory, std::uint64_t first_step) {
  make_directories(directory);
  std::vector<std::string> earlier;
  for (const DirectoryEntry& entry : list_directory(directory))
    if (entry.name.starts_with(kPrefix)) earlier.push_back(entry.name);
  path_ = directory / next_name(earlier);
  out_.open(path_, std::ios::binary | std::ios::trunc);
  if (!out_) fail(path_.string(), ": cannot be written; check the directory's permissions");
  write(0, Message().bytes(event::kFileVersion, "brain.Event:2").text());
  if (!earlier.empty())
    write(first_step,
          Message()
              .bytes(event::kSessionLog, Message().integer(session_log::kStatus, session_log::kStart).text())
              .text());
}

void EventFile::write(std::uint64_t step, std::string_view content) {
  const double now = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  out_ << tf_record(Message().fixed64(event::kWallTime, now).integer(event::kStep, step).text() + std::string(content));
  out_.flush();
  if (!out_) fail(path_.string(), ": cannot be written; is the disk full?");
}

void EventFile::add(std::uint64_t step, std::span<const Scalar> scalars) {
  Message all;
  for (const Scalar& scalar : scalars)
    all.bytes(
        summary::kValue,
        Message().bytes(value::kTag, scalar.tag).fixed32(value::kSimple, static_cast<float>(scalar.value)).text());
  write(step, Message().bytes(event::kSummary, all.text()).text());
}

void EventFile::add_histogram(std::uint64_t step, const std::string& tag, std::span<const double> values) {
  constexpr std::size_t kBuckets = 30;
  std::vector<double> finite;
  std::ranges::copy_if(values, std::back_inserter(finite), [](double one) { return std::isfinite(one); });
  if (finite.empty()) return;
  const auto [low, high] = std::ranges::minmax(finite);
  const std::size_t buckets = high > low ? kBuckets : 1;
  const double width = (high - low) / static_cast<double>(buckets);
  std::vector<double> limits(buckets), counts(buckets, 0.0);
  for (std::size_t b = 0; b + 1 < buckets; ++b) limits[b] = low + width * static_cast<double>(b + 1);
  limits.back() = high;
  double sum = 0, squares = 0;
  for (const double one : finite) {
    sum += one, squares += one * one;
    const auto bucket = width > 0 ? static_cast<std::size_t>((one - low) / width) : 0;
    counts[std::min(bucket, buckets - 1)] += 1;
  }
  const Message histogram = Message()
                                .fixed64(histogram::kMin, low)
                                .fixed64(histogram::kMax, high)
                                .fixed64(histogram::kNum, static_cast<double>(finite.size()))
                                .fixed64(histogram::kSum, sum)
                                .fixed64(histogram::kSumSquares, squares)
                                .packed(histogram::kLimits, limits)
                                .packed(histogram::kCounts, counts);
  write(step, summary_value(Message().bytes(value::kTag, tag).bytes(value::kHistogram, histogram.text())));
}

void EventFile::add_image(std::uint64_t step, const std::string& tag, int width, int height, std::string_view encoded) {
  const Message picture = Message()
                              .integer(image::kHeight, static_cast<std::uint64_t>(height))
                              .integer(image::kWidth, static_cast<std::uint64_t>(width))
                              .integer(image::kColorspace, image::kRgb)
                              .bytes(image::kEncoded, encoded);
  write(step, summary_value(Message().bytes(value::kTag, tag).bytes(value::kImage, picture.text())));
}

}  // namespace vitrine
