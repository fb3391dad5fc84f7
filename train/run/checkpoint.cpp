#include "train/run/checkpoint.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>
#include <span>
#include <utility>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/hash.h"
#include "common/base/json.h"
#include "common/base/run_weights.h"
#include "common/models/weights/torch_container.h"
#include "common/models/weights/weights.h"
#include "common/models/weights/zip_archive.h"
#include "train/run_files/run_files.h"
#include "train/run/run_json.h"

namespace vitrine {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kRemedy = "put back a copy of the run, or start over with restart = true";

Json json_of(const Checkpoint& checkpoint) {
  Json tracks = Json::object(), allowed = Json::array();
  for (const auto& [track, fields] : checkpoint.tracks) tracks[track] = Json::parse(fields);
  for (const auto& [word, difference] : checkpoint.allowed)
    allowed.push_back({{"word", word}, {"difference", difference}});
  Json json = {{"step", checkpoint.step},
               {"finished", checkpoint.finished},
               {"validation_due", checkpoint.validation_due},
               {"best_score", checkpoint.best.score},
               {"best_step", checkpoint.best.step},
               {"best_epoch", checkpoint.best.epoch},
               {"best_chosen_by", checkpoint.best.chosen_by},
               {"validation_images", checkpoint.validation_images},
               {"seconds", checkpoint.seconds},
               {"core_seconds", checkpoint.core_seconds},
               {"plan_hash", checkpoint.plan_hash},
               {"tracks", tracks},
               {"allowed", allowed},
               {"other_pictures", checkpoint.other_pictures},
               {"left_out_views", checkpoint.left_out_views},
               {"changes", checkpoint.changes},
               {"tensors", checkpoint.tensors_file},
               {"tensors_sha256", checkpoint.tensors_sha256},
               {"settings", checkpoint.settings}};
  for (const auto& [key, accuracy] :
       {std::pair("validation", &checkpoint.validation), {"best_validation", &checkpoint.best.accuracy}})
    if (*accuracy)
      json[key] = {{"top1", (*accuracy)->top1}, {"top5", (*accuracy)->top5}, {"images", (*accuracy)->images}};
  if (checkpoint.class_names) json["class_names"] = *checkpoint.class_names;
  if (checkpoint.agreement) json["agreement"] = *checkpoint.agreement;
  if (checkpoint.passes)
    json["passes"] = {{"all", checkpoint.passes->all}, {"with_maps", checkpoint.passes->with_maps}};
  return json;
}

// Defaults are for checkpoints of older versions.
Checkpoint checkpoint_of(const JsonFields& in) {
  Checkpoint out;
  out.step = in.integer<std::uint64_t>("step");
  out.finished = in.flag_or("finished", false);
  out.validation_due = in.flag_or("validation_due", false);
  out.best.score = in.number("best_score", -1, 1);
  out.best.step = in.integer_or<std::uint64_t>("best_step", 0);
  out.best.epoch = in.integer_or<std::uint64_t>("best_epoch", 0);
  out.best.chosen_by = in.words_or("best_chosen_by", "");
  out.validation_images = in.words_or("validation_images", "");
  out.seconds = in.number("seconds", 0, kMaxRunSeconds);
  out.core_seconds = in.number("core_seconds", 0, kMaxRunSeconds);
  out.plan_hash = in.words("plan_hash");
  out.settings = in.words("settings");
  out.other_pictures = in.integer_or<std::uint64_t>("other_pictures", 0);
  out.left_out_views = in.integer_or<std::uint64_t>("left_out_views", 0);
  out.tensors_file = in.words("tensors");
  if (!RunFiles::is_tensors_name(out.tensors_file)) in.damaged("tensors is not the name of a checkpoint's file");
  out.tensors_sha256 = in.words("tensors_sha256");
  if (in.has("changes")) out.changes = in.list_of_words("changes");
  if (in.has("tracks"))
    for (const auto& [track, fields] : in.object("tracks").json().items()) {
      if (!fields.is_object() || !fields.contains("teacher"))
        in.damaged("tracks." + track + " is not a track's record");
      out.tracks[track] = fields.dump();
    }
  if (in.has("class_names")) out.class_names = in.list_of_words("class_names");
  out.allowed = allowed_differences(in);
  for (const auto& [key, accuracy] :
       {std::pair("validation", &out.validation), {"best_validation", &out.best.accuracy}})
    if (in.has(key)) {
      const JsonFields validation = in.object(key);
      *accuracy = Accuracy{validation.number("top1", 0, 1), validation.number("top5", 0, 1),
                           validation.integer<std::uint64_t>("images")};
    }
  if (in.has("agreement")) out.agreement = in.number("agreement", 0, 1);
  if (in.has("passes")) {
    const JsonFields passes = in.object("passes");
    out.passes = PassLists{passes.integers<std::uint32_t>("all", "all"),
                           passes.integers<std::uint32_t>("with_maps", "with_maps")};
    for (const std::vector<std::uint32_t>* list : {&out.passes->all, &out.passes->with_maps})
      if (std::ranges::adjacent_find(*list, std::greater_equal()) != list->end())
        in.damaged("passes are not ascending");
  }
  return out;
}

// Tensors below "PART." without that, or none.
Tensors part(const Tensors& tensors, const std::string& name) {
  Tensors out;
  for (const auto& [key, tensor] : tensors)
    if (key.starts_with(name + ".")) out.emplace(key.substr(name.size() + 1), tensor);
  return out;
}

// The metadata in an archive's record; empty if it has none.
std::map<std::string, std::string> archived_metadata(std::span<const std::byte> bytes, const std::string& where) {
  const ZipArchive archive(bytes, where);
  const std::string entry = archive.ending_with(std::string("/") + kRecordEntry);
  if (entry.empty()) return {};
  const std::span<const std::byte> record = archive.read(entry);
  const auto json = parse_json({reinterpret_cast<const char*>(record.data()), record.size()});
  std::map<std::string, std::string> out;
  if (json.is_object())
    for (const auto& [key, value] : json.items())
      if (value.is_string()) out.emplace(key, value.get<std::string>());
  if (out.empty())
    throw Error(ErrorKind::kCorrupt, {.path = where,
                                      .what = text("its entry ", entry, " is not a record of weights"),
                                      .remedy = "copy or make the file again"});
  return out;
}

}  // namespace

void save_checkpoint(const std::filesystem::path& directory, Checkpoint& checkpoint, const Tensors& tensors,
                     const std::map<std::string, std::string>& metadata) {
  const std::filesystem::path folder = RunFiles(directory).checkpoints();
  make_directories(folder);
  checkpoint.tensors_file = RunFiles::tensors_name(checkpoint.step);
  save_safetensors(folder / checkpoint.tensors_file, tensors, metadata);
  checkpoint.tensors_sha256 = sha256_hex_of_file(folder / checkpoint.tensors_file);
  update_checkpoint(directory, checkpoint);
  for (const DirectoryEntry& entry : list_directory(folder))
    if (RunFiles::is_tensors_name(entry.name) && entry.name != checkpoint.tensors_file)
      remove_file(folder / entry.name);
}

void update_checkpoint(const std::filesystem::path& directory, const Checkpoint& checkpoint) {
  publish(RunFiles(directory).last_checkpoint(), json_of(checkpoint).dump(2) + "\n");
}

std::optional<Checkpoint> read_checkpoint(const std::filesystem::path& directory) {
  const std::filesystem::path path = RunFiles(directory).last_checkpoint();
  if (!path_exists(path)) return std::nullopt;
  Checkpoint out;
  read_run_json(path, "checkpoint", kRemedy, [&](const JsonFields& fields) { out = checkpoint_of(fields); });
  return out;
}

Tensors load_checkpoint_tensors(const std::filesystem::path& directory, const Checkpoint& checkpoint) {
  const std::filesystem::path path = RunFiles(directory).checkpoints() / checkpoint.tensors_file;
  if (sha256_hex_of_file(path) != checkpoint.tensors_sha256)
    throw Error(ErrorKind::kCorrupt, {.path = path.string(),
                                      .what = "is damaged: it is not the file that last.json names (another SHA-256)",
                                      .remedy = kRemedy});
  return load_safetensors(path);
}

std::filesystem::path weights_file(const std::filesystem::path& checkpoint) {
  if (!directory_exists(checkpoint)) return checkpoint;
  if (const std::optional<std::filesystem::path> file = weights_of_run(checkpoint)) return *file;
  const RunFiles run(checkpoint);
  if (const std::optional<Checkpoint> last = read_checkpoint(checkpoint)) return run.checkpoints() / last->tensors_file;
  if (run.has_former_layout()) fail_for_former_layout(run, "give one of its .safetensors files");
  fail(checkpoint.string(),
       ": holds none of exported/best.safetensors, exported/last.safetensors and checkpoints/last.json; give a run's "
       "directory or a file of weights (.safetensors, .pth)");
}

bool is_torch_file(const std::filesystem::path& file) {
  return TorchContainer::is_container(MappedFile(file).bytes());
}

std::map<std::string, std::string> weights_metadata(const std::filesystem::path& file) {
  if (!is_torch_file(file)) return load_safetensors_metadata(file);
  const MappedFile mapped(file);
  if (!ZipArchive::is_archive(mapped.bytes())) return {};  // before PyTorch 1.6, which no student is
  return archived_metadata(mapped.bytes(), file.string());
}

Tensors checkpoint_weights(const std::filesystem::path& file) {
  if (is_torch_file(file)) return read_weights(file).tensors;
  Tensors tensors = load_safetensors(file);
  Tensors average = part(tensors, "ema");
  average.erase("updates");
  if (!average.empty()) return average;
  Tensors model = part(tensors, "model");
  return model.empty() ? tensors : model;
}

}  // namespace vitrine
