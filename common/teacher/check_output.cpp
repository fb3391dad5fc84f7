#include "common/teacher/check_output.h"

#include <cmath>

#include "common/base/error.h"

namespace vitrine {

void check_output(std::span<const float> values, std::uint32_t views, std::size_t values_per_view,
                  const std::string& what, const std::string& precision) {
  if (values.size() != views * values_per_view)
    fail("the teacher's ", what, " of view ", values_per_view == 0 ? 0 : values.size() / values_per_view, " are ",
         values.size() < views * values_per_view ? "missing or short" : "too many", ": ", views, " views gave ",
         values.size(), " values, expected ", values_per_view, " per view; its weights do not fit its structure");
  for (std::size_t i = 0; i < values.size(); ++i)
    if (!std::isfinite(values[i]))
      fail("the teacher's ", what, " of view ", i / values_per_view,
           " are not finite (NaN or infinity); its weights are damaged, or ", precision,
           " is too narrow for it: try teacher.precision = \"fp32\"");
}

}  // namespace vitrine
