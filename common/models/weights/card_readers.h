// The forms of configuration files that read_card() knows. Each reader fills in what the card does not say yet.
#ifndef VITRINE_COMMON_MODELS_WEIGHTS_CARD_READERS_H_
#define VITRINE_COMMON_MODELS_WEIGHTS_CARD_READERS_H_

#include <optional>
#include <string>
#include <vector>

#include "common/models/weights/card.h"
#include "common/models/weights/card_fields.h"

namespace vitrine {

/// timm's config.json: with pretrained_cfg, or its fields at the top level.
void read_timm_config(const CardFields& config, TeacherCard& card);
/// transformers' config.json; of a model of pictures and text the part for pictures.
void read_transformers_config(const CardFields& config, TeacherCard& card);
/// transformers' preprocessor_config.json.
void read_preprocessor_config(const CardFields& config, TeacherCard& card);
/// open_clip_config.json.
void read_open_clip_config(const CardFields& config, TeacherCard& card);
/// The licence in the YAML at the beginning of a README.md; nullopt if it has none.
std::optional<std::string> license_of_readme(const std::string& readme);

/// A list of names, or an object with names by number, where "" stands for those that are absent; empty if the key is.
/// Throws Error.
std::vector<std::string> names_of(const CardFields& fields, const char* key);
/// Throws Error unless it is 1e-12 to 1.
void say_eps(const CardFields& fields, const char* key, TeacherCard& card);
/// Checks the triplets' range. Throws Error.
void say_colours(const CardFields& config, const char* mean, const char* std, TeacherCard& card);
/// The word of an activation, as TeacherCard has it.
std::string activation_word(const std::string& theirs);

}  // namespace vitrine

#endif  // VITRINE_COMMON_MODELS_WEIGHTS_CARD_READERS_H_
