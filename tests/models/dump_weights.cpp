// What read_weights() and read_card() give, for the Python peers to compare with.
// clang-format off
//   peer_values weights tensors IN OUT       IN: a weight file or directory; OUT: safetensors with timm's names, whose
//                                     metadata has "naming", "sha256" and "notes", a line for each
//   peer_values weights card DIRECTORY...    prints each card's fields as a line of JSON, null where empty
// clang-format on
#include <ATen/ATen.h>

#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "common/base/error.h"
#include "common/models/weights/card.h"
#include "common/models/weights/weights.h"
#include "tests/support/peer_values.h"

namespace vitrine::testing {
namespace {

std::string lines(const std::vector<std::string>& notes) {
  std::string out;
  for (const std::string& note : notes) out += note + "\n";
  return out;
}

void dump_tensors(const std::string& in, const std::string& out) {
  const WeightFiles weights = read_weights(in);
  save_safetensors(out, weights.tensors,
                   {{"naming", weights.naming}, {"sha256", weights.sha256}, {"notes", lines(weights.notes)}});
}

template <class Value>
nlohmann::json or_null(const std::optional<Value>& value) {
  return value ? nlohmann::json(*value) : nlohmann::json();
}

void dump_card(const std::string& directory) {
  const TeacherCard card = read_card(directory);
  std::cout << nlohmann::json{{"architecture", or_null(card.architecture)},
                              {"patch", or_null(card.patch)},
                              {"dim", or_null(card.dim)},
                              {"depth", or_null(card.depth)},
                              {"heads", or_null(card.heads)},
                              {"classes", or_null(card.classes)},
                              {"norm_eps", or_null(card.norm_eps)},
                              {"activation", or_null(card.activation)},
                              {"pooling", or_null(card.pooling)},
                              {"image_size", or_null(card.image_size)},
                              {"mean", or_null(card.mean)},
                              {"std", or_null(card.std)},
                              {"crop_pct", or_null(card.crop_pct)},
                              {"crop_mode", or_null(card.crop_mode)},
                              {"interpolation", or_null(card.interpolation)},
                              {"license", or_null(card.license)},
                              {"class_names", card.class_names},
                              {"class_descriptions", card.class_descriptions},
                              {"notes", lines(card.notes)}}
            << "\n";
}

}  // namespace

void dump_weights(const Arguments& a) {
  if (a.size() >= 3 && a.size() % 2 == 1 && a[0] == "tensors")
    for (std::size_t i = 1; i < a.size(); i += 2) dump_tensors(a[i], a[i + 1]);
  else if (a.size() >= 2 && a[0] == "card")
    for (std::size_t i = 1; i < a.size(); ++i) dump_card(a[i]);
  else
    fail("weights takes what its lines in dump_weights.cpp say");
}

}  // namespace vitrine::testing
