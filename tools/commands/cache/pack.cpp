// vitrine-cache pack, unpack and card: a cache as one tar file, and the page that says what it is.
#include "tools/pack/pack.h"

#include <unistd.h>

#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "common/base/counted.h"
#include "common/base/error.h"
#include "common/base/json_text.h"
#include "common/base/progress.h"
#include "common/base/stop.h"
#include "tools/commands/cache/command.h"
#include "tools/inspect/track_state.h"
#include "tools/pack/card.h"
#include "tools/pack/unpack.h"

namespace vitrine {
namespace {

struct PackRequest {
  std::string directory, out;
  TrackNames tracks;
  bool unfinished = false, json = false, dry_run = false;
};

struct UnpackRequest {
  std::string file, out;
  bool check = false, json = false, dry_run = false;
};

std::string human(std::uint64_t bytes) {
  return human_bytes(static_cast<double>(bytes));
}

int pack_command(const PackRequest& request) {
  const bool to_pipe = request.out == "-";
  if (to_pipe && request.dry_run) fail("--dry-run says what would be written to a file; give one with -o");
  if (to_pipe && request.json) fail("--json and -o - would both print to standard output; give a file with -o");
  if (to_pipe && ::isatty(STDOUT_FILENO))
    fail("-o - would print a tar on the terminal; give a file with -o, or a pipe");
  const StopFlag& stop = stop_on_signals();
  const Cache cache(request.directory);
  const std::vector<PackedFile> files = pack_contents(cache, request.tracks, request.unfinished);
  const PackManifest manifest = manifest_of(cache.plan().hash(), files);
  if (request.dry_run) {
    const std::string size = text(counted(files.size(), "file"), ", ", human(manifest.tar_bytes()));
    if (is_packed(request.out, manifest))
      std::cout << request.out << ": " << size << "; it is there already\n";
    else
      print_would_write(request.out, size);
    return 0;
  }
  const Packed packed = pack(manifest, files, request.out, stop);
  if (request.json) {
    std::cout << json_text(nlohmann::ordered_json{
        {"file", request.out}, {"files", packed.files}, {"bytes", packed.bytes}, {"resumed_at", packed.resumed}});
    return 0;
  }
  std::string line =
      text(to_pipe ? "packed" : request.out + ":", " ", counted(packed.files, "file"), ", ", human(packed.bytes));
  if (packed.resumed == packed.bytes)
    line += "; it was there already";
  else if (packed.resumed > 0)
    line += text("; ", human(packed.resumed), " of an earlier call were kept");
  if (to_pipe)
    note(line);
  else
    std::cout << line << '\n';
  return 0;
}

int check_command(const UnpackRequest& request, const StopFlag& stop) {
  const PackCheck check = check_pack(request.file, stop);
  if (request.json) {
    nlohmann::ordered_json differences = nlohmann::ordered_json::array();
    for (const PackDifference& one : check.differences) differences.push_back({{"file", one.path}, {"what", one.what}});
    std::cout << json_text(
        nlohmann::ordered_json{{"files", check.files}, {"bytes", check.bytes}, {"differences", differences}});
  } else {
    for (const PackDifference& one : check.differences) std::cout << one.path << ": " << one.what << '\n';
    std::cout << request.file << ": " << counted(check.files, "file") << ", " << human(check.bytes) << ": ";
    if (check.differences.empty())
      std::cout << "all as packed\n";
    else
      std::cout << counted(check.differences.size(), "is", "are") << " not as packed\n";
  }
  return check.differences.empty() ? 0 : 1;
}

int unpack_command(const UnpackRequest& request) {
  if (request.check == !request.out.empty())
    fail(request.check ? "--check writes nothing: leave out -o" : "-o CACHE is missing: the directory to make");
  const StopFlag& stop = stop_on_signals();
  if (request.check) return check_command(request, stop);
  if (request.dry_run) {
    const Unpacked all = check_unpack(request.file, request.out);
    const std::string size = text(counted(all.files, "file"), ", ", human(all.bytes));
    if (all.kept == all.files)
      std::cout << request.out << ": " << size << "; all are there already\n";
    else
      print_would_write(request.out, size);
    return 0;
  }
  const Unpacked unpacked = unpack(request.file, request.out, stop);
  if (request.json) {
    std::cout << json_text(nlohmann::ordered_json{
        {"directory", request.out}, {"files", unpacked.files}, {"bytes", unpacked.bytes}, {"kept", unpacked.kept}});
    return 0;
  }
  std::cout << request.out << ": " << counted(unpacked.files, "file") << ", " << human(unpacked.bytes);
  if (unpacked.kept == unpacked.files)
    std::cout << "; all were there already";
  else if (unpacked.kept > 0)
    std::cout << "; " << human_count(unpacked.kept) << " of an earlier call were kept";
  std::cout << '\n';
  return 0;
}

int card_command(const std::string& directory, const TrackNames& names) {
  const Cache cache(directory);
  const std::vector<TrackInfo> tracks = chosen_tracks(cache, names);
  std::vector<TrackState> states;
  for (const TrackInfo& track : tracks) states.push_back(examine_track(cache, track));
  std::cout << cache_card(cache, states);
  return 0;
}

void add_tracks_option(CommandLine& command, TrackNames& tracks) {
  command
      .add_option("--tracks", tracks, "only these tracks (logits, TEACHER.xxxxxxxx/logits), with the views they need")
      .comma_separated();
}

}  // namespace

void add_pack(CommandLine& line, Body& chosen) {
  const auto request = std::make_shared<PackRequest>();
  CommandLine& command =
      line.add_subcommand("pack", "writes a cache as one tar file, with a card and a list of hashes");
  command.add_option("DIR", request->directory, "the cache's directory").required();
  command.add_option("-o,--out", request->out, "the file to write; - for standard output").required().type_name("FILE");
  add_tracks_option(command, request->tracks);
  command.add_flag("--unfinished", request->unfinished, "pack the finished shards of an unfinished extraction");
  const auto json = command.add_flag("--json", request->json, "print JSON, for programs");
  command.add_dry_run(request->dry_run).excludes(json);
  command.footer(
      "The same cache gives the same bytes. Sizes and hashes are those that were recorded when the files were "
      "written;\n"
      "a file that differs from them ends the command. After an interruption, run the same command to resume from\n"
      "FILE.packing. tar -xf reads the file too.\n"
      "Exit codes: 0 done, 2 bad input or an unfinished cache, 4 a needed file is damaged, 130 stopped; others as\n"
      "vitrine-cache --help says.");
  command.callback([request, &chosen] { chosen = [request] { return pack_command(*request); }; });
}

void add_unpack(CommandLine& line, Body& chosen) {
  const auto request = std::make_shared<UnpackRequest>();
  CommandLine& command = line.add_subcommand("unpack", "makes a cache of a pack, or checks one");
  command.add_option("FILE", request->file, "the pack; - for standard input").required();
  command.add_option("-o,--out", request->out, "the cache's directory, which does not exist yet").type_name("CACHE");
  const auto check = command.add_flag("--check", request->check,
                                      "write nothing: read every byte of FILE, or of a directory that tar made of one");
  const auto json = command.add_flag("--json", request->json, "print JSON, for programs");
  command.add_dry_run(request->dry_run, "check FILE's list and CACHE, and say what would be written")
      .excludes(check)
      .excludes(json);
  command.footer(
      "Every file is checked before it gets its name, and CACHE appears when all are complete. After an\n"
      "interruption, run the same command to resume from CACHE.unpacking.\n"
      "Exit codes: 0 done, 1 with --check a directory differs from its list, 2 bad input, 4 a needed file is damaged,\n"
      "130 stopped; others as vitrine-cache --help says.");
  command.callback([request, &chosen] { chosen = [request] { return unpack_command(*request); }; });
}

void add_card(CommandLine& line, Body& chosen) {
  const auto directory = std::make_shared<std::string>();
  const auto tracks = std::make_shared<TrackNames>();
  CommandLine& command = line.add_subcommand("card", "prints the page of a cache that pack writes as README.md");
  command.add_option("DIR", *directory, "the cache's directory").required();
  add_tracks_option(command, *tracks);
  command.footer(
      "Markdown with Hugging Face's front matter; every figure is recorded in the cache.\n"
      "Exit codes: 0 done, 2 bad input, 4 a needed file is damaged; others as vitrine-cache --help says.");
  command.callback(
      [directory, tracks, &chosen] { chosen = [directory, tracks] { return card_command(*directory, *tracks); }; });
}

}  // namespace vitrine
