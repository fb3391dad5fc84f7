// What the caches hold that the runs learnt from, and what was lost in them.
#include <algorithm>

#include "common/base/error.h"
#include "common/base/progress.h"
#include "tools/commands/report/page.h"

namespace vitrine {
namespace {

std::string tracks_html(const CacheFacts& cache) {
  Table table;
  table.head = {{"Track"},
                {"Shape"},
                {"Encoding"},
                {"Bound"},
                {"Measured error"},
                {"Per view", Cell::Kind::kNumber},
                {"All", Cell::Kind::kNumber},
                {"Passes"}};
  std::uint64_t total = 0, per_view = 0;
  for (const TrackFacts& track : cache.tracks) {
    const std::uint64_t each = track.views > 0 ? track.bytes / track.views : 0;
    total += track.bytes;
    per_view += each;
    table.rows.push_back({{escaped(cache.teachers.size() > 1 ? track.teacher + "/" + track.name : track.name)},
                          {escaped(track.shape)},
                          {escaped(track.encoding)},
                          {track.bound.empty() ? "none" : escaped(track.bound), Cell::Kind::kSentence},
                          {track.loss.empty() ? "not measured" : escaped(track.loss), Cell::Kind::kSentence},
                          {human_bytes(static_cast<double>(each)), Cell::Kind::kNumber},
                          {human_bytes(static_cast<double>(track.bytes)), Cell::Kind::kNumber},
                          {escaped(track.passes)}});
  }
  if (cache.tracks.size() > 1)
    table.rows.push_back({{"all"},
                          {""},
                          {""},
                          {""},
                          {""},
                          {human_bytes(static_cast<double>(per_view)), Cell::Kind::kNumber},
                          {human_bytes(static_cast<double>(total)), Cell::Kind::kNumber},
                          {""}});
  if (table.rows.empty()) return "";
  return table.html() +
         paragraph(
             "A track is one kind of the teacher\u2019s outputs: its logits, or the features or attention of a block, "
             "of "
             "every view, which is an augmented picture. The error is what storing changed. Of features it is a share "
             "of their energy, the sum of squares about the mean: on average, in the worst group (views stored "
             "together) and of the worst token (one position of one view).",
             "soft");
}

std::string cache_html(const CacheFacts& cache, const std::string& learners) {
  std::string out = paragraph(text(learners.empty() ? "" : learners + ": ", cache.directory, ", ", cache.images,
                                   ", plan ", cache.plan_hash.substr(0, 8), "."));
  for (const auto& [directory, words] : cache.teachers) out += paragraph(text("Teacher ", words, "."), "soft");
  out += tracks_html(cache);
  Table plan;
  for (const auto& [key, value] : cache.plan)
    plan.rows.push_back({{breakable(key)}, {escaped(value), Cell::Kind::kNumber}});
  if (!plan.rows.empty())
    out += "<details><summary>The plan of views</summary>\n" + plan.html_in_columns(3) + "</details>\n";
  for (const std::string& sentence : cache.unreadable) out += paragraph("Cannot be read: " + sentence);
  return out;
}

}  // namespace

Section cache_section(const std::vector<Run>& runs) {
  Section out{"cache", "What was cached, and what was lost", ""};
  std::vector<std::string> seen;
  for (const Run& run : runs) {
    if (!run.cache || std::ranges::find(seen, run.cache->directory) != seen.end()) continue;
    seen.push_back(run.cache->directory);
    std::string learners;
    for (const Run& other : runs)
      if (runs.size() > 1 && other.cache && other.cache->directory == run.cache->directory)
        learners += (learners.empty() ? "" : ", ") + other.name;
    out.html += cache_html(*run.cache, learners);
  }
  return out;
}

}  // namespace vitrine
