// The files beside weights: any bytes give a card or an Error. The first byte chooses the form.
#include <string>

#include "common/base/error.h"
#include "common/base/json.h"
#include "common/models/weights/card_readers.h"
#include "tests/fuzz/cases.h"
#include "tests/fuzz/target.h"

FUZZ_TARGET(card) {
  using namespace vitrine;
  using testing::CardCase;
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  const auto kind = static_cast<CardCase>(testing::take_byte(rest) % testing::kCardCases);
  if (kind == CardCase::kReadme) {
    license_of_readme(std::string(rest));
    return 0;
  }
  const nlohmann::json root = parse_json(std::string(rest));
  if (!root.is_object()) return 0;
  TeacherCard card;
  const CardFields fields(&root, "fuzz");
  try {
    if (kind == CardCase::kTimm) read_timm_config(fields, card);
    if (kind == CardCase::kTransformers) read_transformers_config(fields, card);
    if (kind == CardCase::kPreprocessor) read_preprocessor_config(fields, card);
    if (kind == CardCase::kOpenClip) read_open_clip_config(fields, card);
  } catch (const Error&) {
  }
  return 0;
}
