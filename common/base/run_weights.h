// Where vitrine-train leaves the weights of a run, for those who take a run's directory as weights. RunFiles
// (train/run_files/run_files.h) has the rest of its layout.
#ifndef VITRINE_COMMON_BASE_RUN_WEIGHTS_H_
#define VITRINE_COMMON_BASE_RUN_WEIGHTS_H_

#include <filesystem>
#include <optional>

namespace vitrine {

/// The folder of a run's weights, and in it the last ones and the best, which a run without validation does not have.
std::filesystem::path exported_folder(const std::filesystem::path& run);
std::filesystem::path last_weights_in(const std::filesystem::path& exported);
std::filesystem::path best_weights_in(const std::filesystem::path& exported);

/// The best weights, else the last, of `directory`: a run's, or its exported_folder(). nullopt if it is neither, or has
/// none yet. Looks at the disk. Throws Error for a folder that cannot be looked into.
std::optional<std::filesystem::path> weights_of_run(const std::filesystem::path& directory);

/// The directory of the run that `path`, its exported_folder() or one of the two files there, belongs to by its name;
/// any other path as it is, without slashes at its end. Does not look at the disk.
std::filesystem::path run_of_weights(const std::filesystem::path& path);

}  // namespace vitrine

#endif  // VITRINE_COMMON_BASE_RUN_WEIGHTS_H_
