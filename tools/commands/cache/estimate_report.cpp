#include "tools/commands/cache/estimate_report.h"

#include <cmath>
#include <iostream>

#include "common/base/error.h"
#include "common/base/processor_load.h"
#include "common/base/progress.h"
#include "tools/inspect/words.h"

namespace vitrine {
namespace {

std::string rate(double seconds) {
  const double views = 1 / seconds;
  return (views < 100 ? number_words(views) : human_count(static_cast<std::uint64_t>(std::llround(views)))) +
         " views/s";
}

void print_images(const Estimate& e) {
  std::cout << human_count(e.images) << (e.indexed ? " images by the cache's index" : " images by listing the folders")
            << "; " << human_count(e.read) << " of them were read for a sample of " << human_count(e.sampled)
            << " views";
  if (e.unreadable > 0)
    std::cout << ", and " << human_count(e.unreadable)
              << " files that are not images; the count assumes the same share among the others";
  std::cout << '\n';
}

void print_bytes(const Estimate& e) {
  std::vector<std::vector<std::string>> rows{
      {"track", "encoding", "bytes per view", "a pass", text("all ", e.passes, " passes")}};
  const auto add = [&](const std::string& track, const std::string& encoding, double a_view) {
    rows.push_back({track, encoding, human_bytes(a_view), human_bytes(a_view * static_cast<double>(e.views_a_pass)),
                    human_bytes(a_view * e.views())});
  };
  for (const TrackBytes& track : e.tracks) add(track.track, track.encoding, track.a_view);
  add("recipes", "", e.recipes_a_view);
  rows.push_back({"index and bases", "", "", "", human_bytes(e.once)});
  rows.push_back({"all", "", human_bytes(e.bytes_a_view()),
                  human_bytes(e.bytes_a_view() * static_cast<double>(e.views_a_pass)), human_bytes(e.bytes())});
  print_table(rows);
}

}  // namespace

double Estimate::targets_a_view() const {
  double bytes = 0;
  for (const TrackBytes& track : tracks) bytes += track.a_view;
  return bytes;
}

nlohmann::ordered_json estimate_json(const Estimate& e, double epochs) {
  nlohmann::ordered_json out;
  out["images"] = e.images;
  out["images_counted_by"] = e.indexed ? "index" : "listing";
  out["images_read"] = e.read;
  out["files_unreadable"] = e.unreadable;
  out["passes"] = e.passes;
  out["views"] = static_cast<std::uint64_t>(e.views());
  out["sampled_views"] = e.sampled;
  out["workers"] = e.workers;
  out["tracks"] = nlohmann::ordered_json::array();
  for (const TrackBytes& track : e.tracks)
    out["tracks"].push_back({{"track", track.track},
                             {"encoding", track.encoding},
                             {"bytes_per_view", track.a_view},
                             {"bytes", track.a_view * e.views()}});
  out["recipes"] = {{"bytes_per_view", e.recipes_a_view}, {"bytes", e.recipes_a_view * e.views()}};
  out["index_and_bases_bytes"] = e.once;
  out["bytes_per_view"] = e.bytes_a_view();
  out["bytes"] = e.bytes();
  out["calibration_seconds"] = e.calibration();
  out["hours"] = e.seconds() / 3600;
  out["seconds_per_view"] = {
      {"decode", e.decode}, {"teacher", e.costs.live}, {"extraction", e.costs.extraction}, {"read", e.costs.read}};
  out["processors_taken_by_others"] = e.others;
  out["write_bytes_per_second"] = e.bytes_a_view() / e.costs.extraction;
  out["read_views_per_second_one_core"] = 1 / e.read_one_core;
  const auto even = e.break_even();
  out["break_even_epochs"] = even ? nlohmann::ordered_json(*even) : nlohmann::ordered_json();
  if (epochs > 0) out["break_even_students"] = even ? nlohmann::ordered_json(*even / epochs) : nlohmann::ordered_json();
  return out;
}

void print_estimate(const Estimate& e, double epochs) {
  print_images(e);
  print_bytes(e);
  std::cout << "extraction: " << human_time(e.seconds());
  if (e.calibration() > 0) std::cout << ", " << human_time(e.calibration()) << " of it calibration";
  std::cout << "; " << human_count(static_cast<std::uint64_t>(e.views())) << " views at " << rate(e.costs.extraction)
            << " (pictures alone " << rate(e.decode) << ", the teacher alone " << rate(e.costs.live) << "), writing "
            << human_bytes(e.bytes_a_view() / e.costs.extraction) << "/s\n";
  if (const std::string uncertain = uncertain_words(e.others); !uncertain.empty())
    std::cout << "these times are " << uncertain << '\n';
  if (!e.indexed) std::cout << "not in it: making the index, which reads every image once\n";
  std::cout << "reading: " << rate(e.read_one_core) << " on one core, as a student reads, "
            << human_bytes(e.targets_a_view() / e.read_one_core) << "/s of the files\n";
  const auto even = e.break_even();
  if (!even) {
    std::cout << "break-even: never; on this machine the teacher gives a view's targets in "
              << number_words(1e6 * e.costs.live) << " us and the cache in " << number_words(1e6 * e.costs.read)
              << " us: train with the live teacher\n";
    return;
  }
  std::cout << "break-even: the cache is cheaper than a live teacher from "
            << human_count(static_cast<std::uint64_t>(std::ceil(*even)))
            << " epochs on, of one student or of several together";
  if (epochs > 0) {
    const auto students = static_cast<std::uint64_t>(std::ceil(*even / epochs));
    std::cout << " (" << (students <= 1 ? "within the first student" : human_count(students) + " students") << " of "
              << number_words(epochs) << " epochs)";
  }
  std::cout << "\n";
}

}  // namespace vitrine
