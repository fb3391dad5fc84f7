#include <torch/torch.h>

#include "train/checkpoint.h"

#include <nlohmann/json.hpp>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/hash.h"

namespace vitrine {

void save_checkpoint(const std::filesystem::path& directory, const Checkpoint& checkpoint) {
  const std::string name = text("checkpoint-", checkpoint.step, ".safetensors");
  save_safetensors(directory / name, checkpoint.tensors);
  nlohmann::ordered_json tracks = nlohmann::ordered_json::object(), allowed = nlohmann::ordered_json::array();
  for (const auto& [track, fields] : checkpoint.tracks) tracks[track] = nlohmann::ordered_json::parse(fields);
  for (const auto& [word, difference] : checkpoint.allowed)
    allowed.push_back({{"word", word}, {"difference", difference}});
  const nlohmann::ordered_json json = {{"step", checkpoint.step},
                                       {"best_score", checkpoint.best_score},
                                       {"seconds", checkpoint.seconds},
                                       {"core_seconds", checkpoint.core_seconds},
                                       {"plan_hash", checkpoint.plan_hash},
                                       {"tracks", tracks},
                                       {"allowed", allowed},
                                       {"other_pictures", checkpoint.other_pictures},
                                       {"tensors", name},
                                       {"tensors_sha256", sha256_hex_of_file(directory / name)},
                                       {"settings", checkpoint.settings}};
  publish(directory / "last.json", json.dump(2) + "\n");
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    const std::string other = entry.path().filename().string();
    if (other.starts_with("checkpoint-") && other.ends_with(".safetensors") && other != name)
      std::filesystem::remove(entry.path());
  }
}

std::optional<Checkpoint> load_checkpoint(const std::filesystem::path& directory) {
  const std::filesystem::path path = directory / "last.json";
  if (!std::filesystem::exists(path)) return std::nullopt;
  Checkpoint out;
  try {
    const auto json = nlohmann::ordered_json::parse(read_file(path));
    out.step = json.at("step");
    out.best_score = json.at("best_score");
    out.seconds = json.at("seconds");
    out.core_seconds = json.at("core_seconds");
    out.plan_hash = json.at("plan_hash");
    out.settings = json.at("settings");
    // Not there in checkpoints of older versions.
    const auto tracks = json.value("tracks", nlohmann::ordered_json::object());
    for (const auto& [track, fields] : tracks.items()) {
      fields.at("teacher");  // throws for what is no track's
      out.tracks[track] = fields.dump();
    }
    for (const auto& one : json.value("allowed", nlohmann::ordered_json::array()))
      out.allowed.push_back({one.at("word"), one.at("difference")});
    out.other_pictures = json.value("other_pictures", std::uint64_t{0});
    const std::filesystem::path tensors = directory / json.at("tensors").get<std::string>();
    if (sha256_hex_of_file(tensors) != json.at("tensors_sha256").get<std::string>())
      fail(tensors.string(), ": is not the file that ", path.string(),
           " names (another SHA-256); it is damaged, start again without resume");
    out.tensors = load_safetensors(tensors);
  } catch (const nlohmann::json::exception&) {
    fail(path.string(), ": is not a checkpoint of vitrine-train, or is damaged; start again without resume");
  }
  return out;
}

void check_same_settings(const std::string& before, const std::string& now, const std::filesystem::path& directory) {
  std::istringstream old_lines(before), new_lines(now);
  std::string old_line, new_line;
  while (true) {
    const bool more_old = static_cast<bool>(std::getline(old_lines, old_line));
    const bool more_new = static_cast<bool>(std::getline(new_lines, new_line));
    if (!more_old && !more_new) return;
    if (!more_old || !more_new || old_line != new_line)
      fail(directory.string(), ": the checkpoint was made with ", more_old ? old_line : "fewer settings",
           ", this run has ", more_new ? new_line : "fewer settings",
           "; resume with the same settings, or choose another output");
  }
}

}  // namespace vitrine
