// Checks the shape and finiteness of a teacher's outputs.
#ifndef VITRINE_COMMON_TEACHER_CHECK_OUTPUT_H_
#define VITRINE_COMMON_TEACHER_CHECK_OUTPUT_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace vitrine {

/// `values`: one output of `views` views. `what`: "features of block 3". Throws Error naming the output and the view if
/// values are missing, too many, NaN or infinite.
void check_output(std::span<const float> values, std::uint32_t views, std::size_t values_per_view,
                  const std::string& what, const std::string& precision);

}  // namespace vitrine

#endif  // VITRINE_COMMON_TEACHER_CHECK_OUTPUT_H_
