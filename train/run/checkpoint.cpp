#include <torch/torch.h>

#include "train/run/checkpoint.h"

#include <nlohmann/json.hpp>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/hash.h"
#include "common/base/json.h"

namespace vitrine {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kName = "last.json";
constexpr const char* kRemedy = "put back a copy of the run, or begin it anew with restart = true";

Json json_of(const Checkpoint& checkpoint) {
  Json tracks = Json::object(), allowed = Json::array();
  for (const auto& [track, fields] : checkpoint.tracks) tracks[track] = Json::parse(fields);
  for (const auto& [word, difference] : checkpoint.allowed)
    allowed.push_back({{"word", word}, {"difference", difference}});
  Json json = {{"step", checkpoint.step},
               {"finished", checkpoint.finished},
               {"to_judge", checkpoint.to_judge},
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
  if (checkpoint.validation)
    json["validation"] = {{"top1", checkpoint.validation->top1},
                          {"top5", checkpoint.validation->top5},
                          {"images", checkpoint.validation->images}};
  if (checkpoint.agreement) json["agreement"] = *checkpoint.agreement;
  if (checkpoint.passes)
    json["passes"] = {{"all", checkpoint.passes->all}, {"with_maps", checkpoint.passes->with_maps}};
  return json;
}

Checkpoint checkpoint_of(const Json& json) {
  Checkpoint out;
  out.step = json.at("step");
  out.best.score = json.at("best_score");
  out.seconds = json.at("seconds");
  out.core_seconds = json.at("core_seconds");
  out.plan_hash = json.at("plan_hash");
  out.settings = json.at("settings");
  out.tensors_file = json.at("tensors");
  out.tensors_sha256 = json.at("tensors_sha256");
  // Not there in checkpoints of older versions.
  out.finished = json.value("finished", false);
  out.to_judge = json.value("to_judge", false);
  out.best.step = json.value("best_step", std::uint64_t{0});
  out.best.epoch = json.value("best_epoch", std::uint64_t{0});
  out.best.chosen_by = json.value("best_chosen_by", std::string());
  out.validation_images = json.value("validation_images", std::string());
  out.other_pictures = json.value("other_pictures", std::uint64_t{0});
  out.left_out_views = json.value("left_out_views", std::uint64_t{0});
  out.changes = json.value("changes", std::vector<std::string>());
  const Json tracks = json.value("tracks", Json::object());
  for (const auto& [track, fields] : tracks.items()) {
    fields.at("teacher");  // throws for what is no track's
    out.tracks[track] = fields.dump();
  }
  for (const Json& one : json.value("allowed", Json::array()))
    out.allowed.push_back({one.at("word"), one.at("difference")});
  if (const auto one = json.find("validation"); one != json.end())
    out.validation = Accuracy{one->at("top1"), one->at("top5"), one->at("images")};
  if (const auto one = json.find("agreement"); one != json.end()) out.agreement = one->get<double>();
  if (const auto one = json.find("passes"); one != json.end())
    out.passes = PassLists{one->at("all"), one->at("with_maps")};
  return out;
}

// Tensors below "PART." without that, or none.
Tensors part(const Tensors& tensors, const std::string& name) {
  Tensors out;
  for (const auto& [key, tensor] : tensors)
    if (key.starts_with(name + ".")) out.emplace(key.substr(name.size() + 1), tensor);
  return out;
}

}  // namespace

void save_checkpoint(const std::filesystem::path& directory, Checkpoint& checkpoint, const Tensors& tensors,
                     const std::map<std::string, std::string>& metadata) {
  checkpoint.tensors_file = text("checkpoint-", checkpoint.step, ".safetensors");
  save_safetensors(directory / checkpoint.tensors_file, tensors, metadata);
  checkpoint.tensors_sha256 = sha256_hex_of_file(directory / checkpoint.tensors_file);
  update_checkpoint(directory, checkpoint);
  for (const DirectoryEntry& entry : list_directory(directory))
    if (entry.name.starts_with("checkpoint-") && entry.name.ends_with(".safetensors") &&
        entry.name != checkpoint.tensors_file)
      remove_file(directory / entry.name);
}

void update_checkpoint(const std::filesystem::path& directory, const Checkpoint& checkpoint) {
  publish(directory / kName, json_of(checkpoint).dump(2) + "\n");
}

std::optional<Checkpoint> read_checkpoint(const std::filesystem::path& directory) {
  const std::filesystem::path path = directory / kName;
  if (!path_exists(path)) return std::nullopt;
  try {
    const Json json = parse_json<Json>(read_file(path));
    Checkpoint out = checkpoint_of(json);
    // Older versions wrote a summary at the end, and nothing else that tells.
    if (!json.contains("finished")) out.finished = path_exists(directory / "summary.json");
    return out;
  } catch (const nlohmann::json::exception&) {
    throw Error(
        ErrorKind::kCorrupt,
        {.path = path.string(), .what = "is not a checkpoint of vitrine-train, or is damaged", .remedy = kRemedy});
  }
}

Tensors load_checkpoint_tensors(const std::filesystem::path& directory, const Checkpoint& checkpoint) {
  const std::filesystem::path path = directory / checkpoint.tensors_file;
  if (sha256_hex_of_file(path) != checkpoint.tensors_sha256)
    throw Error(ErrorKind::kCorrupt,
                {.path = path.string(),
                 .what = text("is damaged: it is not the file that ", kName, " names (another SHA-256)"),
                 .remedy = kRemedy});
  return load_safetensors(path);
}

std::filesystem::path weights_file(const std::filesystem::path& checkpoint) {
  if (!directory_exists(checkpoint)) return checkpoint;
  for (const char* name : {"best.safetensors", "final.safetensors"})
    if (path_exists(checkpoint / name)) return checkpoint / name;
  if (const std::optional<Checkpoint> last = read_checkpoint(checkpoint)) return checkpoint / last->tensors_file;
  fail(checkpoint.string(),
       ": holds none of best.safetensors, final.safetensors and last.json; give a run's directory or a .safetensors "
       "file");
}

Tensors checkpoint_weights(const std::filesystem::path& file) {
  Tensors tensors = load_safetensors(file);
  Tensors average = part(tensors, "ema");
  average.erase("updates");
  if (!average.empty()) return average;
  Tensors model = part(tensors, "model");
  return model.empty() ? tensors : model;
}

}  // namespace vitrine
