// The table of results, and the sentence above it.
#include <algorithm>
#include <array>
#include <cmath>
#include <functional>

#include "common/base/digits.h"
#include "common/base/error.h"
#include "common/base/progress.h"
#include "tools/commands/report/page.h"

namespace vitrine {
namespace {

/// A row of the table: a figure of each run.
struct Row {
  std::string title;
  std::function<std::optional<double>(const Run&)> value;
  std::function<std::string(double)> words;
  enum class Better { kNone, kMore, kLess } better = Better::kNone;
  bool difference = false;  ///< shows what it is more or less than the first run's, in the same words
  const char* about = "";   ///< explains the title below it
  /// Those that the figure was measured on; runs with others are not compared by it.
  std::function<ImagesRecord(const Run&)> images = {};
};

ImagesRecord test_images_of(const Run& run) {
  return run.summary ? run.summary->test_images : ImagesRecord{};
}

ImagesRecord validation_images_of(const Run& run) {
  return run.summary ? run.summary->validation_images : ImagesRecord{};
}

ImagesRecord evaluated_images_of(const Run& run) {
  return run.summary && run.summary->evaluated_on == "test" ? test_images_of(run) : validation_images_of(run);
}

// False only where the records tell.
bool may_be_alike(const ImagesRecord& a, const ImagesRecord& b) {
  if (!a.hash.empty() && !b.hash.empty()) return a.hash == b.hash;
  return a.folder.empty() || b.folder.empty() || a.folder == b.folder;
}

std::optional<double> as_number(const std::optional<std::uint64_t>& count) {
  return count ? std::optional(static_cast<double>(*count)) : std::nullopt;
}

std::string count_words(double count) {
  return human_count(static_cast<std::uint64_t>(std::llround(count)));
}

std::optional<double> steps_of(const Run& run) {
  if (run.summary && run.summary->steps) return as_number(run.summary->steps);
  return run.metrics.last_step > 0 ? std::optional(static_cast<double>(run.metrics.last_step)) : std::nullopt;
}

std::optional<double> seconds_of(const Run& run) {
  if (run.summary && run.summary->wall_seconds) return run.summary->wall_seconds;
  return run.metrics.seconds > 0 ? std::optional(run.metrics.seconds) : std::nullopt;
}

std::optional<double> wait_of(const Run& run) {
  if (run.summary && run.summary->wait_share) return run.summary->wait_share;
  const Series& series = run.metrics[StepKey::kWaitShare];
  return series.empty() ? std::nullopt : std::optional(series.mean());
}

std::optional<double> rate_of(const Run& run) {
  if (run.summary && run.summary->images_seen && run.summary->wall_seconds && *run.summary->wall_seconds > 0)
    return static_cast<double>(*run.summary->images_seen) / *run.summary->wall_seconds;
  const Series& series = run.metrics[StepKey::kImagesPerSecond];
  return series.empty() ? std::nullopt : std::optional(series.mean());
}

std::optional<double> agreement_of(const Run& run) {
  if (run.summary && run.summary->validation_agreement) return run.summary->validation_agreement;
  const Series& series = run.metrics[ValidationKey::kAgreement];
  return series.empty() ? std::nullopt : std::optional(series.last());
}

std::optional<double> core_seconds_per_step(const Run& run) {
  if (!run.summary || !run.summary->core_seconds || !run.summary->steps || *run.summary->steps == 0)
    return std::nullopt;
  return *run.summary->core_seconds / static_cast<double>(*run.summary->steps);
}

std::optional<double> best_top1_of(const Run& run) {
  if (run.summary && run.summary->best_chosen_by == "top1") return run.summary->best_score;
  return run.metrics.best ? run.metrics.best->top1 : std::nullopt;
}

std::optional<double> best_epoch_of(const Run& run) {
  if (run.summary && run.summary->best_epoch) return as_number(run.summary->best_epoch);
  return run.metrics.best ? std::optional(static_cast<double>(run.metrics.best->epoch)) : std::nullopt;
}

std::optional<double> evaluated_on(const Run& run, const char* on, std::optional<double> RunSummary::*figure) {
  return run.summary && run.summary->evaluated_on == on ? (*run.summary).*figure : std::nullopt;
}

constexpr const char* kTop1 = "images whose class is the first answer";
constexpr const char* kTop5 = "images whose class is among the first five answers";

std::vector<Row> rows() {
  using Better = Row::Better;
  const auto percent = [](double share) { return percent_number(share); };
  const auto tenths = [](double share) { return percent_number(share, 1); };
  const auto seconds = [](double value) { return decimals(value, value < 10 ? 3 : 1); };
  const auto on = [](const char* where, std::optional<double> RunSummary::*figure) {
    return [where, figure](const Run& run) { return evaluated_on(run, where, figure); };
  };
  const auto of_summary = [](std::optional<double> RunSummary::*figure) {
    return [figure](const Run& run) { return run.summary ? (*run.summary).*figure : std::nullopt; };
  };
  return {
      {"Top-1 on the test images, %", on("test", &RunSummary::top1), percent, Better::kMore, true, kTop1,
       test_images_of},
      {"Top-5 on the test images, %", on("test", &RunSummary::top5), percent, Better::kMore, true, kTop5,
       test_images_of},
      {"Top-1 on the validation images, %", on("validation", &RunSummary::top1), percent, Better::kMore, true, kTop1,
       validation_images_of},
      {"Top-5 on the validation images, %", on("validation", &RunSummary::top5), percent, Better::kMore, true, kTop5,
       validation_images_of},
      {"Top-1 of the last weights there, %", of_summary(&RunSummary::last_top1), percent, Better::kMore, true, kTop1,
       evaluated_images_of},
      {"Top-5 of the last weights there, %", of_summary(&RunSummary::last_top5), percent, Better::kMore, true, kTop5,
       evaluated_images_of},
      {"Best top-1 in validation, %", best_top1_of, percent, Better::kMore, true, "of all epochs",
       validation_images_of},
      {"Best epoch", best_epoch_of, count_words},
      {"Agreement with the teacher in validation, %", agreement_of, percent, Better::kMore, true,
       "images to which both give the same first answer", validation_images_of},
      {"Agreement with the teacher, image by image, %",
       [](const Run& run) { return run.evaluation ? run.evaluation->agreement : std::nullopt; }, percent, Better::kMore,
       true},
      {"Steps", steps_of, count_words},
      {"Images seen", [](const Run& run) { return run.summary ? as_number(run.summary->images_seen) : std::nullopt; },
       count_words, Better::kNone, false, "an image counts in every epoch"},
      {"Time", seconds_of, human_time, Better::kLess},
      {"Waiting for data, % of the time", wait_of, tenths, Better::kNone, false, "for pictures and targets to be read"},
      {"Computing, % of the time",
       [](const Run& run) {
         const auto wait = wait_of(run);
         return wait ? std::optional(1 - *wait) : std::nullopt;
       },
       tenths},
      {"Images per second", rate_of, [](double rate) { return rate < 10 ? decimals(rate, 2) : count_words(rate); },
       Better::kMore},
      {"Core seconds per step", core_seconds_per_step, seconds, Better::kLess, false,
       "processor time, summed over all cores"},
  };
}

// A row's title, and what it means.
std::string titled(const std::string& title, const std::string& about) {
  return escaped(title) + (about.empty() ? "" : "<small>" + escaped(about) + "</small>");
}

std::string difference_html(double difference, const std::function<std::string(double)>& words) {
  const std::string size = words(std::abs(difference));
  const bool zero = size.find_first_not_of("0.,") == std::string::npos;
  return "<small>" + std::string(zero ? "\u00b1" : difference > 0 ? "+" : "\u2212") + size + "</small>";
}

std::vector<Cell> cells_of(const Row& row, const std::vector<Run>& runs) {
  std::vector<std::optional<double>> values;
  for (const Run& run : runs) values.push_back(row.value(run));
  std::optional<double> low, high;
  for (const auto& value : values) {
    if (!value) continue;
    low = std::min(low.value_or(*value), *value);
    high = std::max(high.value_or(*value), *value);
  }
  if (!low) return {};
  const double best = row.better == Row::Better::kLess ? *low : *high;
  const bool alike = !row.images || std::ranges::all_of(runs, [&](const Run& run) {
    return may_be_alike(row.images(runs[0]), row.images(run));
  });
  const bool differ = alike && row.words(*low) != row.words(*high);
  std::vector<Cell> out{{titled(row.title, row.about)}};
  for (std::size_t i = 0; i < values.size(); ++i) {
    Cell cell{values[i] ? escaped(row.words(*values[i])) : "\u2013", Cell::Kind::kNumber};
    cell.best = values[i] && differ && row.better != Row::Better::kNone && *values[i] == best;
    if (row.difference && alike && i > 0 && values[i] && values[0])
      cell.html += difference_html(*values[i] - *values[0], row.words);
    out.push_back(std::move(cell));
  }
  return out;
}

// What was trained, from what.
std::string model_words(const Run& run) {
  const bool vit = setting_of(run.configuration, "model.kind") == "vit";
  std::string model = vit ? "a ViT" : setting_of(run.configuration, "model.arch");
  return model;
}

std::string source_words(const Run& run) {
  const std::string source = setting_of(run.configuration, "targets.source");
  if (source == "cache") return "cached targets";
  if (source == "teacher") return "a live teacher";
  return source == "none" ? "labels alone" : source;
}

std::vector<Cell> text_row(const std::string& title, const std::vector<Run>& runs,
                           const std::function<std::string(const Run&)>& words, const std::string& about = "") {
  std::vector<Cell> out{{titled(title, about)}};
  bool any = false;
  for (const Run& run : runs) {
    const std::string value = words(run);
    any = any || !value.empty();
    out.push_back({value.empty() ? "\u2013" : escaped(value), Cell::Kind::kShort});
  }
  return any ? out : std::vector<Cell>{};
}

std::string state_words(const Run& run) {
  return run.summary ? "finished" : text("not finished, at step ", human_count(run.metrics.last_step));
}

// The weights that the figures on the test or validation images are of.
std::string weights_words(const Run& run) {
  if (!run.summary || !run.summary->top1) return "";
  if (run.summary->weights != "best") return "the last";
  return run.summary->best_epoch ? text("the best, of epoch ", *run.summary->best_epoch) : "the best";
}

std::string stage_words(const Run& run) {
  std::string out;
  for (const auto& [track, stage] : run.summary ? run.summary->stages : decltype(RunSummary::stages){})
    out += text(out.empty() ? "" : ", ", track, " \u2192 ", stage);
  return out;
}

std::string single_lead(const Run& run) {
  const std::string model = model_words(run), source = source_words(run);
  std::string out = model.empty() ? "A run" : model;
  if (!source.empty()) out += ", trained from " + source;
  if (const auto score = score_of(run))
    out += text(": ", percent_number(score->value), "\u202f% ", score->what, " on ", score->on,
                run.summary && run.summary->top1 && run.summary->weights == "best" ? ", with its best weights" : "");
  const auto steps = steps_of(run), seconds = seconds_of(run);
  if (steps) out += text(", after ", count_words(*steps), " steps", seconds ? " in " + human_time(*seconds) : "");
  return out + (run.summary ? "." : ". It is not finished.");
}

std::string lead_of_several(const std::vector<Run>& runs) {
  std::vector<std::pair<Score, const Run*>> scored;
  for (const Run& run : runs)
    if (const auto score = score_of(run)) scored.emplace_back(*score, &run);
  if (scored.size() < 2) return text(runs.size(), " runs side by side.");
  const Score& first = scored[0].first;
  for (const auto& [score, run] : scored)
    if (std::string(score.what) != first.what || score.on != first.on || !may_be_alike(score.images, first.images))
      return text(
          runs.size(),
          " runs side by side. They were not measured on the same images, so their figures cannot be compared.");
  std::ranges::stable_sort(scored, [](const auto& a, const auto& b) { return a.first.value > b.first.value; });
  const auto &best = scored[0], &last = scored.back();
  std::string out = text(best.second->name, " is the best of ", scored.size(),
                         " runs: ", percent_number(best.first.value), "\u202f% ", first.what, " on ", first.on);
  if (best.first.value == last.first.value)
    return text("All ", scored.size(), " runs reach ", percent_number(first.value), "\u202f% ", first.what, " on ",
                first.on, ".");
  return out + text(", ", decimals(100 * (best.first.value - last.first.value), 1), " points more than ",
                    last.second->name, ".");
}

}  // namespace

std::string percent_number(double share, int digits) {
  return decimals(100 * share, digits);
}

std::optional<Score> score_of(const Run& run) {
  if (run.summary && run.summary->top1 && !run.summary->evaluated_on.empty()) {
    const std::string count = run.summary->evaluated_images ? human_count(*run.summary->evaluated_images) + " " : "";
    return Score{*run.summary->top1, "top-1", text("the ", count, run.summary->evaluated_on, " images"),
                 evaluated_images_of(run)};
  }
  const ImagesRecord validated = validation_images_of(run);
  if (const auto best = best_top1_of(run))
    return Score{*best, "top-1", "the validation images, at its best", validated};
  if (const auto agreement = agreement_of(run))
    return Score{*agreement, "agreement with the teacher", "the validation images", validated};
  return std::nullopt;
}

std::optional<LearningNote> gain_over_labels(const Run& run, const std::vector<Run>& runs) {
  const auto learns_from_labels = [](const Run& one) {
    return setting_of(one.configuration, "targets.source") == "none";
  };
  const auto is_same_network = [&](const Run& one) {
    return std::ranges::all_of(std::array{"model.kind", "model.arch", "model.width"},
                               [&](const char* key) {
                                 return setting_of(one.configuration, key) == setting_of(run.configuration, key);
                               }) &&
           (!one.summary || !run.summary || one.summary->size == run.summary->size);
  };
  const std::optional<Score> own = score_of(run);
  if (!own || run.configuration.empty() || learns_from_labels(run)) return std::nullopt;
  const Run* best = nullptr;
  double most = 0;
  for (const Run& one : runs) {
    if (!learns_from_labels(one) || !is_same_network(one)) continue;
    const std::optional<Score> score = score_of(one);
    if (!score || std::string(score->what) != own->what || score->on != own->on ||
        !may_be_alike(score->images, own->images) || (best != nullptr && score->value <= most))
      continue;
    best = &one, most = score->value;
  }
  if (best == nullptr) return std::nullopt;
  const double points = 100 * (own->value - most);
  const std::string apart = decimals(std::abs(points), 1);
  const bool tie = apart == decimals(0, 1), gained = points > 0 && !tie;
  LearningNote out{.kind = "labels alone", .problem = !gained};
  out.sentence =
      text(own->what, tie ? " is no better than" : text(" is ", apart, gained ? " points above" : " points below"),
           " that of ", best->name, ", the same network from labels alone");
  if (!gained)
    out.sentence += ": the teacher's targets gained nothing; check the teacher's own accuracy on these images";
  return out;
}

std::string lead_html(const std::vector<Run>& runs) {
  return paragraph(runs.size() == 1 ? single_lead(runs[0]) : lead_of_several(runs), "lead");
}

Section result_section(const std::vector<Run>& runs) {
  Table table;
  table.head.push_back({""});
  for (const Run& run : runs) table.head.push_back({breakable(run.name), Cell::Kind::kShort});
  if (runs.size() == 1) table.head.clear();
  if (runs.size() > 1) table.caption = "Small figures: difference from " + escaped(runs[0].name) + ". \u25b8 the best.";
  const auto add = [&](std::vector<Cell> cells) {
    if (!cells.empty()) table.rows.push_back(std::move(cells));
  };
  for (const Row& row : rows()) add(cells_of(row, runs));
  add(text_row("Weights evaluated", runs, weights_words));
  add(text_row("Student", runs, model_words));
  add(text_row("Learns from", runs, source_words));
  add(text_row("Distilled into", runs, stage_words,
               "the teacher's block \u2192 the student's stage that learns from it"));
  add(text_row("State", runs, state_words));
  return {"results", "Results", runs.size() <= kMostRunsInColumns ? table.html_in_columns(2) : table.html()};
}

}  // namespace vitrine
