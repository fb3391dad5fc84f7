#include "extract/command.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <utility>
#include <vector>

#include "common/base/counted.h"
#include "common/base/error.h"
#include "common/base/progress.h"
#include "common/image/outside_images.h"
#include "extract/compare.h"
#include "extract/part.h"
#include "extract/prepare/prepare.h"
#include "extract/run/run.h"

namespace vitrine {
namespace {

// `missing`: of missing_preparation().
void check_prepared(const ExtractOptions& options, const std::string& missing, const std::string& part,
                    const std::string& command) {
  if (missing.empty()) return;
  throw Error(ErrorKind::kInput, {.path = options.cache,
                                  .what = text("is not prepared for this configuration (", missing, "), and part ",
                                               part, " does not prepare it"),
                                  .remedy = "prepare it once, before starting the parts: " + command});
}

void print_result(const ExtractOptions& options, const RunResult& result) {
  const Extractor::Made& made = result.made;
  std::printf("%s: %s, %s", options.cache.c_str(), counted(made.shards, "new shard").c_str(),
              counted(made.views, "view").c_str());
  if (made.views > 0 && !result.tracks.empty())
    std::printf(", %s per view",
                human_bytes(static_cast<double>(made.bytes) / static_cast<double>(made.views)).c_str());
  std::printf("\n");
  if (result.tracks.empty()) std::printf("  recipes\n");
  for (std::size_t t = 0; t < result.tracks.size(); ++t)
    std::printf("  %s  %s%s\n", result.tracks[t].directory().c_str(), encoding_name(result.tracks[t].codec.encoding),
                made.views > 0 ? (": " + made.losses[t].describe()).c_str() : "");
}

}  // namespace

int extract(const ExtractOptions& options, const ExtractMode& mode, const StopFlag& stop) {
  if (options.images.empty())
    fail("images is not given; expected a folder of class folders, or with labels = \"none\" of any images");
  if (options.cache.empty()) fail("cache is not given; expected a directory, which is made when it is missing");
  check_outside_images({"cache", options.cache}, {{"images", options.images}, {"unlabelled", options.unlabelled}});
  const std::string part =
      mode.prepare_only ? "1/1" : resolve_part(options.part, [](const char* name) { return std::getenv(name); });
  const bool prepares = parse_part(part).n == 1;
  const Plan trial = trial_plan(options.plan);
  check_settings_of_cache(options.cache, trial);
  if (!prepares)
    check_prepared(options, missing_preparation(options.cache, options.index_depth), part, mode.prepare_command);
  at::set_num_threads(1);
  const std::unique_ptr<const Teacher> owned =
      mode.recipes_only ? nullptr : std::make_unique<const Teacher>(options.teacher, options.taps);
  const Teacher* teacher = owned.get();
  if (teacher != nullptr) check_tracks_of_cache(options.cache, teacher->tracks(trial), options.allow_mixed);
  const auto check_own_prepared = [&] {
    check_prepared(options,
                   missing_preparation(options.cache, outputs_of(teacher), {options.first_pass, options.passes},
                                       options.index_depth),
                   part, mode.prepare_command);
  };

  if (mode.dry_run) {
    if (!prepares) check_own_prepared();
    describe_preparation(options, teacher, stop);
    std::printf("%s: dry run: everything fits, nothing was written\n", options.cache.c_str());
    return 0;
  }
  RunStart start;
  if (prepares) {
    const Prepared prepared = prepare(options, teacher, stop);
    if (mode.prepare_only) {
      note(prepared.size);
      std::printf("%s: prepared\n", options.cache.c_str());
      return 0;
    }
    start = {prepared.bad, prepared.workers};
  } else {
    check_own_prepared();
  }
  const RunResult result = run_part(options, part, teacher, std::move(start), stop);
  if (result.made.left_out > 0)
    note(text(human_count(result.made.left_out), " of ", counted(result.made.views, "view"),
              result.made.left_out == 1 ? " was" : " were", " left out: pictures could not be read; ",
              (std::filesystem::path(options.cache) / kLeftOutFile).string(), " names them"));
  if (result.made.stopped) {
    note(text("stopped after ", counted(result.made.shards, "new shard"), "; run the same command again to resume"));
    return kStoppedExitCode;
  }
  print_result(options, result);
  return 0;
}

}  // namespace vitrine
