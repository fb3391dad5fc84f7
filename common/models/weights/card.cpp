#include "common/models/weights/card.h"

#include <algorithm>
#include <array>
#include <span>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/json.h"
#include "common/models/weights/card_readers.h"

namespace vitrine {
namespace {

using nlohmann::json;

constexpr std::uint64_t kMaxConfig = 64u << 20;  // label lists of 21,843 classes take a few megabytes
constexpr std::uint64_t kReadme = 1u << 16;      // the front matter is at the beginning

struct CardActivation {
  const char *theirs, *ours;
};
constexpr std::array kCardActivations{CardActivation{"gelu_pytorch_tanh", "gelu_tanh"},
                                      CardActivation{"gelu_new", "gelu_tanh"}, CardActivation{"swish", "silu"},
                                      CardActivation{"quickgelu", "quick_gelu"}};

json parse_config(const std::filesystem::path& path) {
  const auto damaged = [&](const std::string& what) {
    throw Error(ErrorKind::kCorrupt, {.path = path.string(), .what = what, .remedy = "fetch it again, or remove it"});
  };
  if (file_bytes(path) > kMaxConfig) damaged("is larger than any model's configuration");
  json root = parse_json(read_file(path));
  if (root.is_discarded()) damaged(text("is not JSON of at most ", kMaxJsonDepth, " levels"));
  if (!root.is_object()) damaged("is not a JSON object");
  return root;
}

void read_config(const CardFields& config, TeacherCard& card) {
  if (config.find("architecture") != nullptr || config.find("pretrained_cfg") != nullptr)
    read_timm_config(config, card);
  else if (config.find("model_type") != nullptr || config.find("architectures") != nullptr)
    read_transformers_config(config, card);
  else
    card.notes.push_back(text(config.path(), ": is neither timm's nor transformers' and was not used."));
}

/// Names of another head, and names for only some classes, say nothing.
void check_names(TeacherCard& card) {
  const auto names = static_cast<std::int64_t>(card.class_names.size());
  if (names == 0) return;
  const auto missing = std::ranges::count(card.class_names, "");
  std::string what;
  if (card.classes && *card.classes != names)
    what = text("names ", names, " classes, but the model has ", *card.classes);
  else if (missing > 0)
    what = text("has no names for ", missing, " of its ", names, " classes");
  if (what.empty()) return;
  card.notes.push_back(text(card.files.front().string(), ": ", what, "; the names were not used."));
  card.class_names.clear();
  card.class_descriptions.clear();
}

std::string beginning_of(const std::filesystem::path& path) {
  const ReadableFile file(path);
  std::string bytes(static_cast<std::size_t>(std::min(file.size(), kReadme)), '\0');
  file.read(0, std::as_writable_bytes(std::span(bytes)));
  return bytes;
}

}  // namespace

std::string activation_word(const std::string& theirs) {
  for (const CardActivation& known : kCardActivations)
    if (theirs == known.theirs) return known.ours;
  return theirs;
}

void say_colours(const CardFields& config, const char* mean, const char* std, TeacherCard& card) {
  const auto means = config.triplet(mean), deviations = config.triplet(std);
  for (const double value : means.value_or(std::array{0.0, 0.0, 0.0}))
    if (value < 0 || value > 1) config.refuse(mean, *config.find(mean), "colours from 0 to 1");
  for (const double value : deviations.value_or(std::array{1.0, 1.0, 1.0}))
    if (value < 1e-6 || value > 1e6) config.refuse(std, *config.find(std), "positive numbers");
  say(card.mean, means);
  say(card.std, deviations);
}

TeacherCard read_card(const std::filesystem::path& path) {
  const std::filesystem::path directory = directory_exists(path) ? path : path.parent_path();
  struct Source {
    const char* name;
    void (*read)(const CardFields&, TeacherCard&);
  };
  static constexpr std::array kSources{Source{"config.json", read_config},
                                       Source{"preprocessor_config.json", read_preprocessor_config},
                                       Source{"open_clip_config.json", read_open_clip_config}};
  TeacherCard card;
  for (const Source& source : kSources) {
    const std::filesystem::path file = directory / source.name;
    if (!file_exists(file)) continue;
    const json root = parse_config(file);
    card.files.push_back(file);
    source.read({&root, file.string()}, card);
  }
  check_names(card);
  if (const std::filesystem::path readme = directory / "README.md"; !card.license && file_exists(readme)) {
    card.license = license_of_readme(beginning_of(readme));
    if (card.license) card.files.push_back(readme);
  }
  return card;
}

}  // namespace vitrine
