#include "tools/commands/report/metrics.h"

#include <algorithm>
#include <limits>
#include <span>

#include "common/base/files.h"
#include "common/base/json.h"
#include "tools/commands/report/flat_json.h"

namespace vitrine {
namespace {

constexpr double kAbsent = std::numeric_limits<double>::quiet_NaN();
constexpr std::size_t kLongestLine = std::size_t{4} << 20;

/// Finds keys in a list; keys that come in the list's order are found at once.
template <std::size_t Count>
class KeyFinder {
 public:
  explicit KeyFinder(const std::array<std::string_view, Count>& keys) : keys_(keys) {}
  /// The key's position; Count if it is not there.
  std::size_t find(std::string_view key) {
    for (std::size_t i = 0; i < Count; ++i) {
      const std::size_t at = next_ + i < Count ? next_ + i : next_ + i - Count;
      if (keys_[at] != key) continue;
      next_ = at + 1 < Count ? at + 1 : 0;
      return at;
    }
    return Count;
  }

 private:
  const std::array<std::string_view, Count>& keys_;
  std::size_t next_ = 0;
};

/// All numbers that a line may have; the first ones are kStepKeys'.
constexpr auto kNumberKeys = [] {
  std::array<std::string_view, kStepKeys.size() + 8> out{};
  std::size_t count = 0;
  for (const std::string_view key : kStepKeys) out[count++] = key;
  for (const std::string_view key : {"step", "epoch", "seconds", "skipped", "top1", "top5", "agreement", "best"})
    out[count++] = key;
  return out;
}();
constexpr std::size_t kStep = kStepKeys.size(), kEpoch = kStep + 1, kSeconds = kStep + 2, kSkipped = kStep + 3,
                      kTop1 = kStep + 4, kTop5 = kStep + 5, kAgreement = kStep + 6, kBest = kStep + 7;
constexpr auto kLossOfLine = static_cast<std::size_t>(StepKey::kLoss);

std::uint64_t counter(double number) {
  constexpr double kMost = 9007199254740992;  // 2^53: integers beyond are not exact
  return number >= 0 && number <= kMost ? static_cast<std::uint64_t>(number) : 0;
}

/// One line's known values.
struct Line {
  std::string_view event, phase;
  std::array<double, kNumberKeys.size()> numbers;
  std::vector<LearningNote> findings;
};

class MetricsReader {
 public:
  explicit MetricsReader(Metrics& out) : out_(out) {}

  void line(std::string_view text) {
    if (text.empty() || text == "\r") return;
    line_.event = line_.phase = {};
    line_.findings.clear();
    line_.numbers.fill(kAbsent);
    if (!scan_flat_object(text, [this](std::string_view key, const FlatValue& value) { take(key, value); }) &&
        !parse(text)) {
      ++out_.unread;
      return;
    }
    const std::uint64_t before = out_.lines++;
    if (line_.event == "step")
      add_step();
    else if (line_.event == "validation")
      add_validation();
    else if (line_.event == "phase")
      add_findings();
    else if (line_.event != "end")
      out_.lines = before;
  }

 private:
  void take(std::string_view key, const FlatValue& value) {
    if (value.kind == FlatValue::Kind::kText) {
      if (key == "event") line_.event = value.text;
      if (key == "phase") line_.phase = value.text;
    } else if (value.kind != FlatValue::Kind::kNull) {
      if (const std::size_t at = keys_.find(key); at < kNumberKeys.size()) line_.numbers[at] = value.number;
    }
  }

  /// For the few lines with lists or escapes.
  bool parse(std::string_view text) {
    json_ = parse_json<nlohmann::json>(std::string(text));
    if (!json_.is_object()) return false;
    line_.event = line_.phase = {};
    line_.numbers.fill(kAbsent);
    line_.findings.clear();
    for (const auto& [key, value] : json_.items()) {
      if (value.is_string())
        take(key, {FlatValue::Kind::kText, 0, value.get_ref<const std::string&>()});
      else if (value.is_number())
        take(key, {FlatValue::Kind::kNumber, value.get<double>(), {}});
      else if (value.is_boolean())
        take(key, {FlatValue::Kind::kFlag, value.get<bool>() ? 1.0 : 0.0, {}});
      else if (key == "findings" && value.is_array())
        for (const auto& finding : value) take_finding(finding);
    }
    return true;
  }

  void take_finding(const nlohmann::json& finding) {
    if (!finding.is_object()) return;
    const auto word = [&finding](const char* key) {
      const auto found = finding.find(key);
      return found != finding.end() && found->is_string() ? found->get<std::string>() : std::string();
    };
    const auto problem = finding.find("problem");
    LearningNote out{
        .kind = word("kind"), .sentence = word("sentence"), .problem = problem != finding.end() && *problem == true};
    if (!out.sentence.empty()) line_.findings.push_back(std::move(out));
  }

  /// The line's step; nothing for a line without one.
  std::optional<std::uint64_t> step() const {
    const double step = line_.numbers[kStep];
    return step >= 0 ? std::optional(counter(step)) : std::nullopt;
  }

  void add_step() {
    const auto step = this->step();
    if (!step || (*step <= last_step_line_ && any_step_)) {
      ++out_.repeated;
      return;
    }
    any_step_ = true;
    last_step_line_ = *step;
    progress(*step);
    const auto x = static_cast<double>(*step);
    for (std::size_t i = 0; i < kStepKeys.size(); ++i) out_.steps[i].add(x, line_.numbers[i]);
    if (line_.numbers[kSkipped] >= 0) out_.skipped_updates = counter(line_.numbers[kSkipped]);
    if (line_.phase.empty()) return;
    if (out_.phases.empty() || out_.phases.back().name != line_.phase) {
      if (!out_.phases.empty()) out_.phases.back().last = *step;
      if (out_.phases.size() < kMostPhases) out_.phases.push_back({std::string(line_.phase), *step, *step});
    }
    out_.phases.back().last = *step;
  }

  void add_validation() {
    const auto step = this->step();
    if (!step) return;
    progress(*step);
    const double values[] = {line_.numbers[kTop1], line_.numbers[kTop5], line_.numbers[kLossOfLine],
                             line_.numbers[kAgreement]};
    for (std::size_t i = 0; i < kValidationKeys.size(); ++i)
      out_.validations[i].add(static_cast<double>(*step), values[i]);
    if (!(line_.numbers[kBest] > 0)) return;
    const auto share = [](double value) { return value >= 0 && value <= 1 ? std::optional(value) : std::nullopt; };
    out_.best = {*step, counter(line_.numbers[kEpoch]), share(values[0]), share(values[3])};
  }

  void add_findings() {
    for (LearningNote& finding : line_.findings) {
      if (out_.findings.size() == kMostFindings) out_.findings.erase(out_.findings.begin());  // the last ones matter
      finding.step = counter(line_.numbers[kStep]);
      finding.epoch = counter(line_.numbers[kEpoch]);
      finding.phase = line_.phase;
      out_.findings.push_back(std::move(finding));
    }
  }

  void progress(std::uint64_t step) {
    out_.last_step = std::max(out_.last_step, step);
    out_.last_epoch = std::max(out_.last_epoch, counter(line_.numbers[kEpoch]));
    if (line_.event == "step" && line_.numbers[kSeconds] >= 0) out_.seconds = line_.numbers[kSeconds];
  }

  static constexpr std::size_t kMostPhases = 64, kMostFindings = 2000;
  Metrics& out_;
  Line line_;
  KeyFinder<kNumberKeys.size()> keys_{kNumberKeys};
  nlohmann::json json_;  // the texts of line_ point into it
  std::uint64_t last_step_line_ = 0;
  bool any_step_ = false;
};

/// Calls visit(line) for each line, without its end. A longer line than kLongestLine is visited as an empty object cut
/// off: no line of a run is that long.
template <class Visit>
void for_each_line(const std::filesystem::path& path, const Visit& visit) {
  const ReadableFile file(path);
  constexpr std::size_t kBlock = std::size_t{1} << 20;
  std::string block(kBlock, '\0'), begun;
  bool too_long = false;
  const auto end_line = [&](std::string_view rest) {
    if (too_long) {
      visit(std::string_view("{"));
    } else if (begun.empty()) {
      visit(rest);
    } else {
      begun += rest;
      visit(std::string_view(begun));
    }
    begun.clear();
    too_long = false;
  };
  for (std::uint64_t at = 0; at < file.size();) {
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(kBlock, file.size() - at));
    file.read(at, std::as_writable_bytes(std::span(block.data(), size)));
    at += size;
    std::string_view left(block.data(), size);
    for (std::size_t end; (end = left.find('\n')) != std::string_view::npos; left.remove_prefix(end + 1))
      end_line(left.substr(0, end));
    if (begun.size() + left.size() > kLongestLine) {
      too_long = true;
      begun.clear();
    } else if (!too_long) {
      begun += left;
    }
  }
  if (too_long || !begun.empty()) end_line({});
}

}  // namespace

Metrics read_metrics(const std::filesystem::path& path) {
  Metrics out;
  MetricsReader reader(out);
  for_each_line(path, [&](std::string_view line) { reader.line(line); });
  return out;
}

}  // namespace vitrine
