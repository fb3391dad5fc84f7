// Compares a configuration with the cache that it names, before any picture is read or anything is computed:
// contradictions, and what is prepared.
#ifndef VITRINE_EXTRACT_COMPARE_H_
#define VITRINE_EXTRACT_COMPARE_H_

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "common/cache/preparation.h"
#include "common/cache/track.h"
#include "common/codec/transform/basis.h"
#include "common/image/scan.h"
#include "common/plan/plan.h"
#include "common/teacher/teacher.h"

namespace vitrine {

/// A plan of these settings over an index of one image, which reveals invalid settings, and settings that do not fit a
/// teacher, without the images. Throws Error as Plan does.
Plan trial_plan(const PlanOptions& options);

/// Throws Error that names every setting in which the cache's plan.json, if there is one, differs from `trial`.
void check_settings_of_cache(const std::filesystem::path& cache, const Plan& trial);

/// Throws Error that names every field in which a track.json of the cache, if there is one, differs from these tracks.
/// Fields derived from the index or from calibration are not compared; arithmetic is compared as in mixed.h. `tracks`:
/// Teacher::tracks() of a trial plan.
void check_tracks_of_cache(const std::filesystem::path& cache, const std::vector<TrackInfo>& tracks, bool allow_mixed);

/// Throws Error when the existing basis was calibrated on another number of views than `calibration_views`. Fewer are
/// allowed when pictures of the index have failed (left_out.tsv).
void check_calibration_of_cache(const std::filesystem::path& cache, const Plan& plan, const TrackInfo& track,
                                const FeatureBasis& basis, std::uint32_t calibration_views);

/// The cache's prepared.json if it belongs to its plan.json; else nothing. Throws Error.
std::optional<Preparation> preparation_of_cache(const std::filesystem::path& cache);

/// The teacher's tracks; none without a teacher.
std::vector<TrackInfo> outputs_of(const Teacher* teacher);

/// What still has to be prepared of index and plan, as a clause for a message; empty: nothing. `depth`: how much of
/// each picture must have been checked.
std::string missing_preparation(const std::filesystem::path& cache, IndexDepth depth);
/// The same for these passes of the tracks; without tracks for those of the recipes.
std::string missing_preparation(const std::filesystem::path& cache, const std::vector<TrackInfo>& tracks,
                                PassRange passes, IndexDepth depth);

}  // namespace vitrine

#endif  // VITRINE_EXTRACT_COMPARE_H_
