// dump_preprocessing: for each name of a ViT on standard input, one line of JSON on what is assumed of its pictures;
// null for a name that Vitrine does not know.
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "common/base/error.h"
#include "common/models/vit/architectures.h"
#include "common/teacher/preprocessing.h"

namespace {

bool is_known(const std::string& name) {
  try {
    return vitrine::find_architecture(name, "").has_value();
  } catch (const vitrine::Error&) {
    return false;
  }
}

nlohmann::json usual(const std::string& name) {
  if (!is_known(name)) return nullptr;
  vitrine::VitStructure structure;
  structure.arch = name;
  const vitrine::UsualPreprocessing found = vitrine::usual_preprocessing(structure, "timm");
  return {{"mean", found.values.mean},
          {"std", found.values.stddev},
          {"crop_pct", found.values.crop_pct},
          {"crop_mode", found.values.crop_mode},
          {"family", found.family},
          {"is_guess", found.is_guess},
          {"crop_pct_is_guess", found.crop_pct_is_guess}};
}

}  // namespace

int main() {
  for (std::string name; std::getline(std::cin, name);) std::cout << usual(name) << "\n";
}
