// The estimated cost of an extraction, and its output.
#ifndef VITRINE_TOOLS_COMMANDS_CACHE_ESTIMATE_REPORT_H_
#define VITRINE_TOOLS_COMMANDS_CACHE_ESTIMATE_REPORT_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace vitrine {

/// Seconds of one machine per view with all workers busy (one worker's time divided by their number).
struct ViewCosts {
  double extraction = 0;   ///< decode, crop and mix, the teacher, encode, write
  double read = 0;         ///< reading the view's targets from the cache, as a student does
  double live = 0;         ///< the teacher's forward pass only, as the student needs the picture in both cases
  double calibration = 0;  ///< before the first shard: its total time divided by the views of a pass
};

/// With V views per pass, P passes extracted and n epochs trained (of one student, or of several together):
///     cache = V calibration + P V extraction + n V read        live = n V live
/// Returns the break-even n = (P extraction + calibration) / (live − read), or nullopt when live ≤ read, as the cache
/// then never pays. Ignores the GPU memory of a live teacher and the disk space of a cache.
constexpr std::optional<double> break_even_epochs(const ViewCosts& costs, double passes) {
  if (!(costs.live > costs.read)) return std::nullopt;
  return (passes * costs.extraction + costs.calibration) / (costs.live - costs.read);
}

struct TrackBytes {
  std::string track, encoding;
  double a_view = 0;
};

struct Estimate {
  std::uint64_t images = 0;      ///< from the cache's index, or listed files minus the share that are not images
  bool indexed = false;          ///< `images` is from the index
  std::uint64_t read = 0;        ///< images read for the sample
  std::uint64_t unreadable = 0;  ///< files read for the sample that are not images
  std::uint64_t views_a_pass = 0, sampled = 0;
  std::uint32_t passes = 0, workers = 0;
  std::vector<TrackBytes> tracks;
  double recipes_a_view = 0;             ///< bytes
  double once = 0;                       ///< bytes: index, plan, settings and bases
  double decode = 0, read_one_core = 0;  ///< seconds per view: with all workers; on one core, as a student reads
  ViewCosts costs;
  double others = 0;  ///< share of the processors that other programs took meanwhile

  double targets_a_view() const;  ///< bytes of all tracks
  double bytes_a_view() const { return targets_a_view() + recipes_a_view; }
  double views() const { return static_cast<double>(views_a_pass) * passes; }
  double bytes() const { return bytes_a_view() * views() + once; }
  double calibration() const { return costs.calibration * static_cast<double>(views_a_pass); }  ///< seconds
  double seconds() const { return calibration() + costs.extraction * views(); }
  std::optional<double> break_even() const { return break_even_epochs(costs, passes); }
};

/// `epochs`: of one student, to also give the break-even in students; 0: omit it.
nlohmann::ordered_json estimate_json(const Estimate& estimate, double epochs);
/// Prints to standard output.
void print_estimate(const Estimate& estimate, double epochs);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_CACHE_ESTIMATE_REPORT_H_
