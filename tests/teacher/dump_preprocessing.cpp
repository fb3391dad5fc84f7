// peer_values preprocessing: for each name of a ViT on standard input, one line of JSON on what is assumed of its
// pictures; null for a name that Vitrine does not know.
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "common/base/error.h"
#include "common/models/vit/architectures.h"
#include "common/teacher/preprocessing.h"
#include "tests/support/peer_values.h"

namespace vitrine::testing {
namespace {

bool is_known(const std::string& name) {
  try {
    return find_architecture(name, "").has_value();
  } catch (const Error&) {
    return false;
  }
}

nlohmann::json usual(const std::string& name) {
  if (!is_known(name)) return nullptr;
  VitStructure structure;
  structure.arch = name;
  const UsualPreprocessing found = usual_preprocessing(structure, "timm");
  return {{"mean", found.values.mean},
          {"std", found.values.stddev},
          {"crop_pct", found.values.crop_pct},
          {"crop_mode", found.values.crop_mode},
          {"interpolation", found.values.interpolation},
          {"family", found.family},
          {"is_guess", found.is_guess},
          {"crop_pct_is_guess", found.crop_pct_is_guess}};
}

}  // namespace

void dump_preprocessing(const Arguments& arguments) {
  if (!arguments.empty()) fail("preprocessing takes names on standard input, and no arguments");
  for (std::string name; std::getline(std::cin, name);) std::cout << usual(name) << "\n";
}

}  // namespace vitrine::testing
