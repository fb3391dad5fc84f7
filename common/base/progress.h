// Progress display of long loops. On a terminal, one line redrawn in place (percentage, count, rate, time left);
// otherwise a plain line from time to time, so that logs stay readable.
#ifndef VITRINE_COMMON_BASE_PROGRESS_H_
#define VITRINE_COMMON_BASE_PROGRESS_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <utility>

namespace vitrine {

/// "1.5 KB", "386.2 GB" (powers of 1000).
std::string human_bytes(double bytes);
/// "0.4 s", "2 min 05 s", "3 h 20 min", "4.2 days".
std::string human_time(double seconds);
/// "1,281,167".
std::string human_count(std::uint64_t count);

/// Prints a line on standard error, above the progress line if there is one.
void note(const std::string& line);

/// Progress of one loop. Thread-safe.
class Progress {
 public:
  /// `unit` is a plural: "views". `done`: finished before this run; excluded from the rate.
  Progress(std::string what, std::string unit, std::uint64_t total, std::uint64_t done = 0);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  /// `suffix` is shown after the rate ("loss 2.31").
  void advance(std::uint64_t by, const std::string& suffix = {});
  /// Ends the line with what this run did, its time and rate; the destructor ends it without that summary.
  void finish();

 private:
  void draw(bool last);

  std::string what_, unit_, suffix_;
  std::uint64_t total_, done_, before_;
  std::chrono::steady_clock::time_point start_, drawn_;
  bool terminal_, finished_ = false;
  std::mutex mutex_;
};

/// Progress of a loop over bytes, shown in KB, without the remainders of small pieces getting lost. Thread-safe.
class ByteProgress {
 public:
  ByteProgress(std::string what, std::uint64_t total, std::uint64_t done = 0)
      : done_(done), progress_(std::move(what), "KB", total / kUnit, done / kUnit) {}
  void advance(std::uint64_t bytes) {
    const std::uint64_t before = done_.fetch_add(bytes);
    progress_.advance((before + bytes) / kUnit - before / kUnit);
  }
  void finish() { progress_.finish(); }

 private:
  static constexpr std::uint64_t kUnit = 1000;
  std::atomic<std::uint64_t> done_;
  Progress progress_;
};

}  // namespace vitrine

#endif  // VITRINE_COMMON_BASE_PROGRESS_H_
