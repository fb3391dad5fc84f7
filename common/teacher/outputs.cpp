#include "common/teacher/outputs.h"

#include <cmath>

#include "common/base/error.h"

namespace vitrine {

void check_output(std::span<const float> values, std::uint32_t views, std::size_t each, const std::string& what,
                  const std::string& precision) {
  if (values.size() != views * each)
    fail("the teacher's ", what, " of view ", each == 0 ? 0 : values.size() / each, " are ",
         values.size() < views * each ? "missing or short" : "too many", ": ", views, " views gave ", values.size(),
         " values, expected ", each, " per view; its weights do not fit its structure");
  for (std::size_t i = 0; i < values.size(); ++i)
    if (!std::isfinite(values[i]))
      fail("the teacher's ", what, " of view ", i / each,
           " are not finite (NaN or infinity); its weights are damaged, or ", precision,
           " is too narrow for it: try teacher.precision = \"fp32\"");
}

}  // namespace vitrine
