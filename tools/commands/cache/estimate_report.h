// What an extraction would take, and how it is told.
#ifndef VITRINE_TOOLS_COMMANDS_CACHE_ESTIMATE_REPORT_H_
#define VITRINE_TOOLS_COMMANDS_CACHE_ESTIMATE_REPORT_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace vitrine {

/// What one machine needs for one view, in seconds with all its workers busy (of one worker, divided by their number).
struct ViewCosts {
  double extraction = 0;   ///< decode, crop and mix, the teacher, encode, write
  double read = 0;         ///< the view's targets out of the cache, as a student takes them
  double live = 0;         ///< the teacher's forward alone: the student needs the picture in both cases
  double calibration = 0;  ///< before the first shard, once: all of it, divided by the views of a pass
};

/// With V views per pass, P passes extracted and n epochs trained (of one student, or of several together):
///     cache = V calibration + P V extraction + n V read        live = n V live
/// Equal at n = (P extraction + calibration) / (live − read), which this returns; nothing when live ≤ read: then the
/// cache never pays. Not in it: what a live teacher takes of the GPU's memory, and what a cache takes of the disk.
constexpr std::optional<double> break_even_epochs(const ViewCosts& costs, double passes) {
  if (!(costs.live > costs.read)) return std::nullopt;
  return (passes * costs.extraction + costs.calibration) / (costs.live - costs.read);
}

struct TrackBytes {
  std::string track, encoding;
  double a_view = 0;
};

struct Estimate {
  std::uint64_t images = 0;      ///< counted: in the cache's index, or files listed less the share that is no image
  bool indexed = false;          ///< the former
  std::uint64_t read = 0;        ///< images that the sample reads
  std::uint64_t unreadable = 0;  ///< files that were read for it and are no image
  std::uint64_t views_a_pass = 0, sampled = 0;
  std::uint32_t passes = 0, workers = 0;
  std::vector<TrackBytes> tracks;
  double recipes_a_view = 0;             ///< bytes
  double once = 0;                       ///< bytes: index, plan, settings and bases
  double decode = 0, read_one_core = 0;  ///< seconds per view: of all workers; of one core, as a student reads
  ViewCosts costs;

  double targets_a_view() const;  ///< bytes of all tracks
  double bytes_a_view() const { return targets_a_view() + recipes_a_view; }
  double views() const { return static_cast<double>(views_a_pass) * passes; }
  double bytes() const { return bytes_a_view() * views() + once; }
  double calibration() const { return costs.calibration * static_cast<double>(views_a_pass); }  ///< seconds
  double seconds() const { return calibration() + costs.extraction * views(); }
  std::optional<double> break_even() const { return break_even_epochs(costs, passes); }
};

/// `epochs`: of one student, to tell the break-even in students too; 0: not told.
nlohmann::ordered_json estimate_json(const Estimate& estimate, double epochs);
/// On standard output.
void print_estimate(const Estimate& estimate, double epochs);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_CACHE_ESTIMATE_REPORT_H_
