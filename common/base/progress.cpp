#include "common/base/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "common/base/digits.h"
#include "common/base/error.h"
#include "common/base/screen.h"
#include "common/base/utf8.h"

namespace vitrine {
namespace {

using Clock = std::chrono::steady_clock;

double since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Guards standard error: notes and progress lines of all threads.
std::mutex& terminal_mutex() {
  static std::mutex mutex;
  return mutex;
}

Screen& screen() {
  static Screen chosen = Screen::kText;
  return chosen;
}

// Seconds between two lines of progress.
double period(bool terminal) {
  constexpr double kRedraw = 0.1, kLines = 5;
  return terminal && screen() == Screen::kText ? kRedraw : kLines;
}

// The terminal's width; a longer line would wrap, and could not be redrawn.
std::size_t columns() {
  winsize size{};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

void print_json(const nlohmann::ordered_json& line) {
  std::fprintf(stderr, "%s\n", line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace).c_str());
}

}  // namespace

void choose_screen(Screen chosen) {
  screen() = chosen;
}

Screen chosen_screen() {
  return screen();
}

QuietScreen::QuietScreen() : before_(screen()) {
  choose_screen(Screen::kQuiet);
}
QuietScreen::~QuietScreen() {
  choose_screen(before_);
}

std::string human_bytes(double bytes) {
  static constexpr const char* kUnits[] = {"B", "KB", "MB", "GB", "TB", "PB"};
  int unit = 0;
  while (bytes >= 999.5 && unit < 5) {
    bytes /= 1000;
    ++unit;
  }
  return decimals(bytes, unit == 0 ? 0 : 1) + " " + kUnits[unit];
}

std::string human_time(double seconds) {
  if (seconds < 60) return decimals(seconds, seconds < 10 ? 1 : 0) + " s";
  const auto whole = static_cast<std::uint64_t>(std::llround(seconds));
  if (whole >= 48 * 3600) return decimals(seconds / 86400, 1) + " days";
  char buffer[64];
  if (whole < 3600)
    std::snprintf(buffer, sizeof buffer, "%d min %02d s", static_cast<int>(whole / 60), static_cast<int>(whole % 60));
  else
    std::snprintf(buffer, sizeof buffer, "%d h %02d min", static_cast<int>(whole / 3600),
                  static_cast<int>(whole / 60 % 60));
  return buffer;
}

std::string human_count(std::uint64_t count) {
  const std::string digits = std::to_string(count);
  std::string out;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) out.push_back(',');
    out.push_back(digits[i]);
  }
  return out;
}

void note(const std::string& line) {
  const std::lock_guard lock(terminal_mutex());
  if (screen() == Screen::kJson) return print_json({{"type", "note"}, {"text", line}});
  if (screen() == Screen::kQuiet && !line.starts_with("warning: ")) return;
  std::fprintf(stderr, "%s%s\n", isatty(STDERR_FILENO) ? "\r\033[K" : "", line.c_str());
}

Progress::Progress(std::string what, std::string unit, std::uint64_t total, std::uint64_t done)
    : what_(std::move(what)),
      unit_(std::move(unit)),
      total_(total),
      done_(done),
      before_(done),
      start_(Clock::now()),
      drawn_(start_),
      terminal_(isatty(STDERR_FILENO) != 0) {}

Progress::~Progress() {
  if (!finished_ && terminal_ && screen() == Screen::kText) std::fputc('\n', stderr);
}

void Progress::advance(std::uint64_t by, const std::string& suffix) {
  const std::lock_guard lock(mutex_);
  done_ += by;
  suffix_ = suffix;
  if (since(drawn_) < period(terminal_)) return;
  drawn_ = Clock::now();
  draw(false);
}

void Progress::finish() {
  const std::lock_guard lock(mutex_);
  if (finished_) return;
  finished_ = true;
  draw(true);
}

void Progress::draw(bool last) {
  if (screen() == Screen::kQuiet) return;
  const double seconds = std::max(since(start_), 1e-9);
  const double rate = static_cast<double>(done_ - before_) / seconds;
  const double left = rate > 0 ? static_cast<double>(total_ - std::min(done_, total_)) / rate : 0;
  if (screen() == Screen::kJson) {
    nlohmann::ordered_json line = {{"type", "progress"}, {"what", what_}, {"done", done_},
                                   {"total", total_},    {"unit", unit_}, {"per_second", rate}};
    if (last) {
      line["finished"] = true;
      line["seconds"] = seconds;
    } else if (rate > 0) {
      line["seconds_left"] = left;
    }
    if (!suffix_.empty()) line["status"] = suffix_;
    const std::lock_guard lock(terminal_mutex());
    return print_json(line);
  }
  const std::string per_second = decimals(rate, rate < 10 ? 2 : 0);
  std::string line = what_ + ": ";
  if (last) {
    line +=
        text(human_count(done_ - before_), " ", unit_, " in ", human_time(seconds), ", ", per_second, " ", unit_, "/s");
  } else {
    const double share = total_ == 0 ? 1.0 : static_cast<double>(done_) / static_cast<double>(total_);
    line += text(decimals(100 * share, 0), " %, ", human_count(done_), " of ", human_count(total_), " ", unit_, ", ",
                 per_second, "/s");
    if (rate > 0) line += text(", ", human_time(left), " left");
  }
  if (!suffix_.empty()) line += ", " + suffix_;
  const std::lock_guard lock(terminal_mutex());
  if (terminal_) {
    std::fprintf(stderr, "\r%s\033[K%s", cut_at_character(line, columns() - 1).c_str(), last ? "\n" : "");
  } else {
    std::fprintf(stderr, "%s\n", line.c_str());
  }
  std::fflush(stderr);
}

}  // namespace vitrine
