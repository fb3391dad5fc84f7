#include "tools/commands/classify/print.h"

#include <ATen/ATen.h>

#include <nlohmann/json.hpp>

#include "common/base/digits.h"
#include "common/base/json_text.h"

namespace vitrine {
namespace {

using Json = nlohmann::ordered_json;

}  // namespace

std::string as_line(const ClassifiedPicture& picture, const Classifier& classifier) {
  std::string out = picture.path.string();
  for (const Guess& guess : picture.guesses)
    out += "\t" + classifier.name_of(guess.index) + " " + percent_words(guess.probability, 2);
  return out + "\n";
}

std::string as_json_line(const ClassifiedPicture& picture, const Classifier& classifier,
                         const std::filesystem::path& explanation) {
  Json json{{"picture", picture.path.string()}};
  if (!picture.error.empty()) {
    json["error"] = picture.error;
  } else {
    json["top"] = Json::array();
    for (const Guess& guess : picture.guesses)
      json["top"].push_back(
          {{"class", classifier.name_of(guess.index)}, {"index", guess.index}, {"probability", guess.probability}});
    if (!explanation.empty()) json["explanation"] = explanation.string();
  }
  return json_text(json, -1);
}

}  // namespace vitrine
