#include "common/models/weights/weights.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <set>
#include <string_view>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/hash.h"
#include "common/base/json.h"
#include "common/base/run_weights.h"
#include "common/models/weights/names.h"
#include "common/models/weights/numpy_archive.h"
#include "common/models/weights/torch_container.h"
#include "common/models/weights/torch_file.h"

namespace vitrine {
namespace {

namespace fs = std::filesystem;

/// What a directory may have, best first; a name that begins with a star ends any other file's name.
constexpr std::array kCandidates{"model.safetensors",
                                 "model.safetensors.index.json",
                                 "open_clip_model.safetensors",
                                 "*.safetensors",
                                 "pytorch_model.bin",
                                 "pytorch_model.bin.index.json",
                                 "open_clip_pytorch_model.bin",
                                 "*.pth",
                                 "*.npz"};
constexpr std::array kTorchEndings{".pth", ".pt", ".bin"};
constexpr std::array kNotWeights{"optimizer.pt", "optimizer.bin", "scheduler.pt",
                                 "scaler.pt",    "rng_state.pth", "training_args.bin"};
constexpr std::uint64_t kMaxIndex = 64u << 20;

struct WeightIndex {
  std::map<std::string, std::string> shard_of;  // of each tensor
  std::vector<fs::path> shards;                 // sorted
};

bool has_torch_ending(const std::string& name) {
  return std::ranges::any_of(kTorchEndings, [&](const char* ending) { return name.ends_with(ending); });
}

/// "model-00001-of-00002.safetensors", which counts only through its index.
bool is_shard(const std::string& name) {
  constexpr std::string_view kForm = "-00000-of-00000";
  const auto fits = [](char form, char found) { return form == '0' ? found >= '0' && found <= '9' : found == form; };
  return std::ranges::search(name, kForm, [&](char found, char form) { return fits(form, found); }).size() > 0;
}

bool is_candidate(const std::string& name, std::string_view pattern) {
  if (pattern.front() != '*') return name == pattern;
  if (std::ranges::find(kNotWeights, name) != kNotWeights.end() || is_shard(name)) return false;
  return pattern == "*.pth" ? has_torch_ending(name) : name.ends_with(pattern.substr(1));
}

fs::path best_file(const fs::path& directory) {
  const std::optional<fs::path> of_run = weights_of_run(directory);
  if (of_run && *of_run == directory / of_run->filename()) return *of_run;  // in the exported folder of a run
  const std::vector<DirectoryEntry> entries = list_directory(directory);
  for (const char* pattern : kCandidates) {
    std::vector<std::string> found;
    for (const DirectoryEntry& entry : entries)
      if (entry.kind == DirectoryEntry::Kind::kFile && is_candidate(entry.name, pattern)) found.push_back(entry.name);
    if (found.size() == 1) return directory / found.front();
    if (found.empty()) continue;
    std::string names;
    for (const std::string& name : found) names += text(names.empty() ? "" : ", ", name);
    fail(directory.string(), ": has several weight files (", names, "); name one of them");
  }
  if (of_run) return *of_run;
  const bool shards = std::ranges::any_of(entries, [](const DirectoryEntry& entry) { return is_shard(entry.name); });
  fail(directory.string(),
       shards ? ": has parts of a model and no index of them; fetch its *.index.json too"
              : ": has no weight file (*.safetensors, *.pth, *.pt, *.bin, *.npz); name the file or another directory");
}

WeightIndex read_index(const fs::path& path) {
  const auto damaged = [&](const std::string& what) {
    throw Error(ErrorKind::kCorrupt,
                {.path = path.string(), .what = what, .remedy = "the file is damaged, fetch it again"});
  };
  if (file_bytes(path) > kMaxIndex) damaged("is larger than any index of weights");
  const nlohmann::json root = parse_json(read_file(path));
  if (!root.is_object() || !root.contains("weight_map") || !root["weight_map"].is_object())
    damaged("is not a JSON object with a weight_map");
  WeightIndex index;
  std::set<std::string> names;
  for (const auto& [tensor, shard] : root["weight_map"].items()) {
    if (!shard.is_string()) damaged(text("its weight_map has no file name for \"", tensor, '"'));
    const auto& name = shard.get_ref<const std::string&>();
    if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos)
      damaged(text("its weight_map names \"", name, "\", which is not a file beside it"));
    index.shard_of[tensor] = name;
    names.insert(name);
  }
  if (names.empty()) damaged("lists no tensors");
  for (const std::string& name : names) {
    index.shards.push_back(path.parent_path() / name);
    if (!file_exists(index.shards.back()))
      fail(path.string(), ": lists ", name, ", which is missing; fetch it into the same directory");
  }
  return index;
}

bool is_index(const fs::path& path) {
  return path.string().ends_with(".index.json");
}

std::string hash_of_bytes(const std::vector<SharedFile>& files) {
  std::string hashes;
  for (const SharedFile& file : files) {
    Sha256 hash;
    hash.update(file->bytes());
    hashes += hash.hex() + "\n";
  }
  return files.size() == 1 ? hashes.substr(0, 64) : sha256_hex(hashes);
}

/// One file's tensors, by its first bytes and not by its name.
StoredTensors read_one(const SharedFile& file, const std::string& path, WeightFiles& out) {
  if (is_numpy_archive(file->bytes())) return read_numpy_archive(file, path);
  if (TorchContainer::is_container(file->bytes())) return read_torch_file(file, path, out.notes);
  return map_safetensors(file, path, out.metadata);
}

void check_shard(const WeightIndex& index, const fs::path& index_path, const fs::path& shard,
                 const StoredTensors& tensors) {
  const std::string name = shard.filename().string();
  const auto damaged = [&](const std::string& what) {
    throw Error(ErrorKind::kCorrupt,
                {.path = shard.string(),
                 .what = what,
                 .remedy = text("it does not belong to ", index_path.filename().string(), "; fetch all parts again")});
  };
  for (const auto& [tensor, stored] : tensors) {
    const auto listed = index.shard_of.find(tensor);
    if (listed == index.shard_of.end()) damaged(text("has tensor \"", tensor, "\", which its index does not list"));
    if (listed->second != name) damaged(text("has tensor \"", tensor, "\", which its index puts in ", listed->second));
  }
  for (const auto& [tensor, file] : index.shard_of)
    if (file == name && !tensors.contains(tensor))
      damaged(text("lacks tensor \"", tensor, "\", which its index puts there"));
}

}  // namespace

fs::path main_weight_file(const fs::path& path) {
  return directory_exists(path) ? best_file(path) : path;
}

std::vector<fs::path> find_weight_files(const fs::path& path) {
  const fs::path file = main_weight_file(path);
  return is_index(file) ? read_index(file).shards : std::vector<fs::path>{file};
}

WeightFiles read_weights(const fs::path& path) {
  const fs::path main = main_weight_file(path);
  std::optional<WeightIndex> index;
  if (is_index(main)) index = read_index(main);
  WeightFiles out;
  out.files = index ? index->shards : std::vector<fs::path>{main};
  if (main != path) out.notes.push_back(text(path.string(), ": took ", main.filename().string(), '.'));
  std::vector<SharedFile> mapped;
  StoredTensors tensors;
  for (const fs::path& file : out.files) {
    mapped.push_back(std::make_shared<const MappedFile>(file));
    StoredTensors part = read_one(mapped.back(), file.string(), out);
    if (index) check_shard(*index, main, file, part);
    tensors.merge(part);
  }
  out.sha256 = hash_of_bytes(mapped);
  NamedTensors named = with_timm_names(tensors, main.string(), out.notes);
  out.tensors = std::move(named.tensors);
  out.naming = std::move(named.naming);
  return out;
}

std::string sha256_of_weights(const fs::path& path) {
  std::vector<SharedFile> mapped;
  for (const fs::path& file : find_weight_files(path)) mapped.push_back(std::make_shared<const MappedFile>(file));
  return hash_of_bytes(mapped);
}

}  // namespace vitrine
