#include <torch/torch.h>

#include "train/run/run_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>
#include <vector>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/progress.h"
#include "common/config/config.h"
#include "train/run/run_settings.h"

namespace vitrine {
namespace {

// The files of a run. A checkpoint-0 without last.json was left by a start that was interrupted.
bool is_of_run(const std::string& name) {
  static constexpr const char* kNames[] = {"last.json",    "log.csv",          "mapping.csv",
                                           "summary.json", "best.safetensors", "final.safetensors"};
  if (std::ranges::find(kNames, name) != std::end(kNames)) return true;
  return name.starts_with("checkpoint-") && name.ends_with(".safetensors") && name != "checkpoint-0.safetensors";
}

}  // namespace

bool holds_run(const std::filesystem::path& directory) {
  if (!directory_exists(directory)) return false;
  return std::ranges::any_of(list_directory(directory), is_of_run, &DirectoryEntry::name);
}

std::optional<Checkpoint> run_to_go_on_with(const TrainOptions& options) {
  const std::string& output = options.output;
  if (output.empty()) fail("output is not given; expected a directory, which is made when it is missing");
  if (path_exists(output) && !directory_exists(output))
    throw Error(ErrorKind::kInput, {.path = output, .what = "is not a directory", .remedy = "choose another output"});
  if (options.restart || !holds_run(output)) return std::nullopt;
  std::optional<Checkpoint> run = read_checkpoint(output);
  if (!run)
    throw Error(ErrorKind::kInput,
                {.path = output,
                 .what = "holds files of a run, but not its checkpoint (last.json), without which it "
                         "cannot go on",
                 .remedy = "choose another output, or set restart = true, which renames the directory"});
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
                   ", choose another output, or set restart = true, which renames that run and starts anew")});
}

RunLock::RunLock(const std::filesystem::path& directory) {
  descriptor_ = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor_ < 0) fail_system(errno, directory.string(), "cannot be opened", "check the directory's permissions");
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) return;
  ::close(descriptor_);
  throw Error(ErrorKind::kInput, {.path = directory.string(),
                                  .what = "another process is training this run",
                                  .remedy = "wait for its end, or choose another output"});
}

RunLock::~RunLock() {
  ::close(descriptor_);
}

std::unique_ptr<RunLock> open_run_folder(const TrainOptions& options, const std::optional<Checkpoint>& resumed) {
  const std::filesystem::path output = options.output;
  if (options.restart && holds_run(output)) {
    { const RunLock nobody_trains_there(output); }
    note(text(options.output, ": the earlier run was renamed to ", move_aside(output, "old").string()));
  }
  make_directories(output);
  auto lock = std::make_unique<RunLock>(output);
  const std::optional<Checkpoint> there = read_checkpoint(output);
  if ((there ? there->tensors_sha256 : "") != (resumed ? resumed->tensors_sha256 : ""))
    fail(options.output, ": another process has trained this run in the meantime; run the same command again");
  remove_abandoned(output);
  TrainOptions again = options;
  again.restart = false;
  publish(output / "config.toml", config_as_toml(again));
  return lock;
}

void keep_earlier_end(const std::filesystem::path& directory, std::uint64_t steps) {
  const std::pair<const char*, std::string> ends[] = {{"final.safetensors", text("final-", steps, ".safetensors")},
                                                      {"summary.json", text("summary-", steps, ".json")}};
  for (const auto& [name, kept] : ends)
    if (path_exists(directory / name) && !path_exists(directory / kept))
      rename_path(directory / name, directory / kept);
}

}  // namespace vitrine
