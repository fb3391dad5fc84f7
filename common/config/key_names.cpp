#include "common/config/key_names.h"

#include <algorithm>
#include <utility>

#include "common/base/error.h"
#include "common/config/config.h"

namespace vitrine::config_internal {
namespace {

// Last words of keys in other tools and earlier versions, and the corresponding keys here.
constexpr std::pair<const char*, const char*> kSynonyms[] = {
    {"deviation", "std"},
    {"crop_fraction", "crop_pct"},
    {"logits_form", "logits_encoding"},
    {"features_form", "features_encoding"},
    {"attention_form", "attention_encoding"},
    {"average", "ema"},
    {"learning_rate", "lr"},
    {"min_lr", "lr_end"},
    {"warmup", "warm_up_epochs"},
    {"warm_up", "warm_up_epochs"},
    {"warmup_epochs", "warm_up_epochs"},
    {"alpha", "r_from"},
    {"batch_size", "batch"},
    {"bs", "batch"},
    {"num_workers", "workers"},
    {"jobs", "workers"},
    {"img_size", "image_size"},
    {"img_size", "size"},
    {"input_size", "image_size"},
    {"input_size", "size"},
    {"image_size", "size"},
    {"resolution", "image_size"},
    {"resolution", "size"},
    {"data", "images"},
    {"data_dir", "images"},
    {"dataset", "images"},
    {"train_dir", "images"},
    {"val", "validation"},
    {"val_dir", "validation"},
    {"out", "output"},
    {"output_dir", "output"},
    {"wd", "weight_decay"},
    {"dtype", "precision"},
    {"amp", "precision"},
    {"tau", "temperature"},
    {"num_classes", "classes"},
    {"n_classes", "classes"},
    {"pretrained", "weights"},
    {"checkpoint", "weights"},
    {"initial_checkpoint", "weights"},
    {"patch_size", "patch"},
    {"embed_dim", "dim"},
    {"num_heads", "heads"},
    {"mixup", "mixup_alpha"},
    {"cutmix", "cutmix_alpha"},
    {"smoothing", "label_smoothing"},
    {"hflip", "flip"},
    {"ema_decay", "ema.decay"},
};

bool ends_in(const std::string& key, const std::string& words) {
  return key == words || key.ends_with("." + words);
}

// Keys that an unknown key may stand for, at most kMaxSuggestions.
std::vector<std::string> suggestions(const std::string& name, const Fields& fields) {
  constexpr std::size_t kMaxSuggestions = 4;
  const std::string section = name.substr(0, name.size() - last_word(name).size());
  std::vector<std::string> all, meant;
  for (const Field& field : fields.all()) all.push_back(field.key);
  const auto add = [&](const std::string& words) {
    for (const std::string& key : all)
      if (ends_in(key, words) && std::ranges::find(meant, key) == meant.end()) meant.push_back(key);
  };
  add(last_word(name));
  for (const auto& [other, ours] : kSynonyms)
    if (last_word(name) == other) {
      if (fields.find(section + ours) != nullptr) return {section + ours};
      add(ours);
    }
  if (meant.empty() || meant.size() > kMaxSuggestions) {
    const std::string near = nearest_word(name, all);
    if (!near.empty() && meant.empty()) return {near};
  }
  // If there are too many, prefer the outermost sections.
  std::ranges::stable_sort(meant, {}, [](const std::string& key) { return std::ranges::count(key, '.'); });
  meant.resize(std::min(meant.size(), kMaxSuggestions));
  return meant;
}

}  // namespace

std::string last_word(const std::string& key) {
  const std::size_t point = key.rfind('.');
  return point == std::string::npos ? key : key.substr(point + 1);
}

bool is_also_called(const std::string& key, const std::string& word) {
  return std::ranges::any_of(
      kSynonyms, [&](const auto& synonym) { return last_word(word) == synonym.first && ends_in(key, synonym.second); });
}

const Field& known_field(const std::string& key, const std::string& where, const Fields& fields) {
  if (const Field* field = fields.find(key)) return *field;
  const std::vector<std::string> meant = suggestions(key, fields);
  std::string words = meant.empty() ? "--help-keys lists all" : "did you mean ";
  for (std::size_t i = 0; i < meant.size(); ++i)
    words += (i == 0 ? "" : i + 1 < meant.size() ? ", " : " or ") + meant[i];
  fail(where, ": unknown key ", key, "; ", words, meant.empty() ? "" : "?");
}

}  // namespace vitrine::config_internal
