// What a person sees of a long run. On a terminal one line that is drawn over (share, count, rate, time left);
// elsewhere a plain line now and then, so that logs stay readable.
#ifndef VITRINE_COMMON_BASE_PROGRESS_H_
#define VITRINE_COMMON_BASE_PROGRESS_H_

#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>

namespace vitrine {

/// "1.5 KB", "386.2 GB" (powers of 1000).
std::string human_bytes(double bytes);
/// "0.4 s", "2 min 05 s", "3 h 20 min", "4.2 days".
std::string human_time(double seconds);
/// "1,281,167".
std::string human_count(std::uint64_t count);

/// One line on standard error, above the progress line when there is one.
void note(const std::string& line);

/// The progress of one loop. Calls may come from any thread.
class Progress {
 public:
  /// `unit` is a plural: "views". `done` counts what was there before this run; it does not enter the rate.
  Progress(std::string what, std::string unit, std::uint64_t total, std::uint64_t done = 0);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  /// `suffix` is shown after the rate ("loss 2.31").
  void advance(std::uint64_t by, const std::string& suffix = {});
  /// Ends the line with the total time and rate; the destructor does it otherwise, without the summary.
  void finish();

 private:
  void draw(bool last);

  std::string what_, unit_, suffix_;
  std::uint64_t total_, done_, before_;
  std::chrono::steady_clock::time_point start_, drawn_;
  bool terminal_, finished_ = false;
  std::mutex mutex_;
};

}  // namespace vitrine

#endif  // VITRINE_COMMON_BASE_PROGRESS_H_
