// vitrine-cache recode: converts a track to another encoding, without the teacher.
#include "common/base/counted.h"
#include "tools/inspect/recode.h"

#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "common/base/error.h"
#include "common/base/json_text.h"
#include "common/base/progress.h"
#include "common/codec/frame.h"
#include "tools/commands/cache/command.h"
#include "tools/inspect/words.h"
#include "tools/inspect/loss_summary.h"

namespace vitrine {
namespace {

struct RecodeRequest {
  std::string directory, from, encoding;
  RecodeOptions options;
  bool json = false;
};

int recode_command(const RecodeRequest& request) {
  RecodeOptions options = request.options;
  options.codec.encoding = encoding_from_name(request.encoding, "--encoding");
  const Cache cache(request.directory);
  const std::size_t slash = request.from.find('/');
  const TrackInfo& from = slash == std::string::npos
                              ? cache.track(request.from)
                              : cache.track(request.from.substr(slash + 1), request.from.substr(0, slash));
  const Recoded made = recode(cache, from, options);
  if (options.dry_run) {
    if (made.shards == 0)
      std::cout << "all shards exist already\n";
    else
      print_would_write(options.to / made.track.directory(),
                        text(codec_words(made.track.codec), ", ", counted(made.shards, "shard"), " of ",
                             counted(made.views, "view"), " in all"));
    return 0;
  }
  const auto loss = nlohmann::ordered_json::parse(made.loss.json());
  if (request.json) {
    nlohmann::ordered_json out;
    out["from"] = from.directory();
    out["to"] = (options.to / made.track.directory()).string();
    out["shards"] = made.shards;
    out["views"] = made.views;
    out["bytes_before"] = made.bytes_before;
    out["bytes_after"] = made.bytes_after;
    out["loss"] = loss;
    std::cout << json_text(out);
    return 0;
  }
  std::cout << (options.to / made.track.directory()).string() << ": " << codec_words(made.track.codec) << ", "
            << human_bytes(static_cast<double>(made.bytes_after)) << "; it was " << codec_words(from.codec) << ", "
            << human_bytes(static_cast<double>(made.bytes_before)) << '\n';
  if (made.shards == 0)
    std::cout << "all shards existed already\n";
  else
    std::cout << counted(made.shards, "shard") << " made; against the source: " << loss_words(loss) << '\n';
  return 0;
}

}  // namespace

void add_recode(CommandLine& line, Body& chosen) {
  const auto request = std::make_shared<RecodeRequest>();
  CommandLine& command =
      line.add_subcommand("recode", "converts a track to another encoding or bound, without the teacher");
  command.add_option("DIR", request->directory, "the cache's directory").required();
  command.add_option("--from", request->from, "the track: NAME, or TEACHER.xxxxxxxx/NAME").required();
  command.add_option("--to", request->options.to, "another cache directory; created if missing").required();
  command.add_option("--encoding", request->encoding, "fp32, fp16, int8, sqrt8, uniform, topk or transform").required();
  command.add_option("--max-error", request->options.codec.max_error, "bound of uniform, topk and transform");
  command.add_option("--kept", request->options.codec.kept, "topk: values kept per view");
  command
      .add_option("--temperatures", request->options.codec.temperatures,
                  "topk: temperatures of the tail's mass, for instance 1,4")
      .comma_separated();
  command
      .add_option("--calibration-views", request->options.calibration_views,
                  "transform: number of the track's first views used to calibrate the basis, if there is none yet")
      .range(1u, 1u << 24)
      .show_default();
  command
      .add_option("--level", request->options.compression.level,
                  "zstd level; -1 is faster and stores poorly compressible data as is")
      .range(kMinLevel, kMaxLevel)
      .show_default();
  command
      .add_option("--window", request->options.compression.window_log,
                  "log2 of zstd's window in bytes; 0: the level's default")
      .range(0, kMaxWindow)
      .show_default();
  command.add_option("--workers", request->options.workers, "worker threads; 0: one per core").range(0, 4096);
  const auto json = command.add_flag("--json", request->json, "print JSON, for programs");
  command.add_dry_run(request->options.dry_run).excludes(json);
  command.footer(
      "A track's directory is named by teacher and target, not by encoding: the new track goes into another\n"
      "cache, with the same index, plan and recipes, that can be used like any other. Its track.json records\n"
      "the source. After an interruption, run the same command to resume.\n"
      "Exit codes: 0 done, 2 bad input, 4 a needed file is damaged; others as vitrine-cache --help says.");
  command.callback([request, &chosen] { chosen = [request] { return recode_command(*request); }; });
}

}  // namespace vitrine
