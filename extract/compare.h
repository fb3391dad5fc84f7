// A configuration held against the cache that it names, before pictures are looked at and anything is computed: what
// contradicts it, and what of it is prepared.
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

namespace vitrine {

/// A plan of these settings over an index of one image: what is wrong with the settings, or does not fit a teacher, is
/// found without the images. Throws Error as Plan does.
Plan trial_plan(const PlanOptions& options);

/// Throws Error that names each setting of plan.json, where there is one, that differs from `trial`'s.
void check_settings_of_cache(const std::filesystem::path& cache, const Plan& trial);

/// Throws Error that names each field in which a track.json differs from these tracks, where there is one; what follows
/// from the index or from calibration is not compared. Arithmetic as mixed.h has it. `tracks`: Teacher::tracks() of a
/// trial plan.
void check_tracks_of_cache(const std::filesystem::path& cache, const std::vector<TrackInfo>& tracks, bool allow_mixed);

/// Throws Error when a basis that is there was made from another number of views than `calibration_views` ask for.
/// Fewer are allowed where pictures of the index are known to have failed (left_out.tsv).
void check_calibration_of_cache(const std::filesystem::path& cache, const Plan& plan, const TrackInfo& track,
                                const FeatureBasis& basis, std::uint32_t calibration_views);

/// The cache's prepared.json, where there is one that belongs to its plan.json; else nothing. Throws Error.
std::optional<Preparation> preparation_of_cache(const std::filesystem::path& cache);

/// What is still to be prepared before these passes of the tracks can be made, as a sentence without a full stop;
/// empty: nothing. `depth`: how far pictures are to be looked at.
std::string missing_preparation(const std::filesystem::path& cache, const std::vector<TrackInfo>& tracks,
                                PassRange passes, IndexDepth depth);

}  // namespace vitrine

#endif  // VITRINE_EXTRACT_COMPARE_H_
