// Serialisation of plan.json. Private to this room; use Plan::json() and Plan::options_from_json().
#ifndef VITRINE_COMMON_PLAN_OPTIONS_JSON_H_
#define VITRINE_COMMON_PLAN_OPTIONS_JSON_H_

#include <string>

#include "common/base/format_version.h"
#include "common/plan/plan.h"

namespace vitrine {

inline constexpr const char* kPlanFormat = "vitrine plan";
/// The format's major version. It must also be raised when the same settings produce different views (a draw added, a
/// rule changed).
inline constexpr int kPlanVersion = kFormatMajor;

std::string plan_json(const PlanOptions& options, const ImageIndex& index);
PlanOptions plan_options_from_json(const std::string& text_of_plan, const std::string& where);

}  // namespace vitrine

#endif  // VITRINE_COMMON_PLAN_OPTIONS_JSON_H_
