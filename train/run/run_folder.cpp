#include "train/run/run_folder.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/paths.h"
#include "common/base/progress.h"
#include "common/config/config.h"
#include "train/run_files/run_files.h"
#include "train/run/run_settings.h"

namespace vitrine {
namespace {

// Moves the run's files to a new directory beside it, whose name is returned: OUTPUT.old, OUTPUT.old.2, ..., or in the
// directory where that is on another disk. The checkpoint goes last, so that an interrupted move is recognised as a run
// and repeated.
std::filesystem::path move_run_aside(const RunFiles& run) {
  const std::filesystem::path output = resolved_path(run.directory());
  const std::string plain = (is_mount_point(output) ? output / "run" : output).string();
  std::filesystem::path to = plain + ".old";
  for (int number = 2; path_exists(to); ++number) to = text(plain, ".old.", number);
  make_directories(to);
  std::vector<std::string> names = run.present();
  std::ranges::stable_partition(names, [&](const std::string& name) { return name != run.checkpoints().filename(); });
  for (const std::string& name : names) rename_path(output / name, to / name);
  return to;
}

}  // namespace

bool holds_run(const std::filesystem::path& directory) {
  const RunFiles run(directory);
  for (const std::filesystem::path& file : {run.last_checkpoint(), run.metrics(), run.metrics_table(), run.mapping(),
                                            run.summary(), run.best_weights(), run.last_weights()})
    if (path_exists(file)) return true;
  if (!directory_exists(run.checkpoints())) return false;
  return std::ranges::any_of(list_directory(run.checkpoints()), [](const DirectoryEntry& entry) {
    return RunFiles::is_tensors_name(entry.name) && entry.name != RunFiles::tensors_name(0);
  });
}

std::optional<Checkpoint> run_to_resume(const TrainOptions& options) {
  const std::string& output = options.output;
  if (output.empty()) fail("output is not given; expected a directory, which is made when it is missing");
  if (path_exists(output) && !directory_exists(output))
    throw Error(ErrorKind::kInput, {.path = output, .what = "is not a directory", .remedy = "choose another output"});
  if (options.restart) return std::nullopt;
  if (RunFiles(output).has_former_layout())
    fail_for_former_layout(RunFiles(output),
                           "choose another output, or set restart = true, which moves that run aside");
  if (!holds_run(output)) return std::nullopt;
  std::optional<Checkpoint> run = read_checkpoint(output);
  if (!run)
    throw Error(ErrorKind::kInput,
                {.path = output,
                 .what = "holds files of a run, but not its checkpoint (checkpoints/last.json), without which it "
                         "cannot resume",
                 .remedy = "choose another output, or set restart = true, which moves these files aside"});
  const std::vector<SettingDifference> differences = settings_differences(run->settings, options);
  if (differences.empty()) return run;
  const bool longer = std::ranges::all_of(differences, [](const SettingDifference& one) { return is_length(one.key); });
  throw Error(ErrorKind::kInput,
              {.path = output,
               .what = text("holds a run of another configuration, ",
                            run->finished ? "finished" : text("stopped after step ", human_count(run->step)), ": ",
                            words_of(differences)),
               .remedy = text(
                   longer ? "set extend = true to resume with the new length" : "restore these settings to resume it",
                   ", choose another output, or set restart = true, which moves that run aside and starts over")});
}

FileLock lock_run(const std::filesystem::path& directory) {
  FileLock lock = FileLock::on_directory(directory);
  if (lock.try_lock() == FileLock::Outcome::kHeldByAnother)
    throw Error(ErrorKind::kInput, {.path = directory.string(),
                                    .what = "another process is training this run",
                                    .remedy = "wait for its end, or choose another output"});
  return lock;
}

FileLock open_run_folder(const TrainOptions& options, const std::optional<Checkpoint>& resumed) {
  const RunFiles run(options.output);
  make_directories(run.directory());
  FileLock lock = lock_run(run.directory());
  if (options.restart && (holds_run(run.directory()) || run.has_former_layout()))
    note(text(options.output, ": the earlier run was moved to ", move_run_aside(run).string()));
  run.make();
  const std::optional<Checkpoint> there = read_checkpoint(run.directory());
  if ((there ? there->tensors_sha256 : "") != (resumed ? resumed->tensors_sha256 : ""))
    fail(options.output, ": another process has trained this run in the meantime; run the same command again");
  run.remove_abandoned_files();
  TrainOptions again = options;
  again.restart = false;
  publish(run.config(), config_as_toml(again));
  return lock;
}

void keep_earlier_end(const std::filesystem::path& directory, std::uint64_t steps) {
  const RunFiles run(directory);
  for (const auto& [end, kept] : {std::pair(run.last_weights(), run.earlier_weights(steps)),
                                  std::pair(run.summary(), run.earlier_summary(steps))})
    if (path_exists(end) && !path_exists(kept)) rename_path(end, kept);
}

}  // namespace vitrine
