// Measures what an extraction costs on this machine, by making a few groups of it.
#ifndef VITRINE_TOOLS_COMMANDS_CACHE_TEACHER_MEASURE_H_
#define VITRINE_TOOLS_COMMANDS_CACHE_TEACHER_MEASURE_H_

#include <cstdint>
#include <filesystem>

#include "common/teacher/teacher.h"
#include "extract/options.h"
#include "tools/commands/cache/estimate_report.h"

namespace vitrine {

/// Makes `sample` groups (0: two per worker, at least four) of the extraction that `options` describe, in a temporary
/// directory below `scratch` (empty: the system's), and reads them back. Images are counted by the index of the
/// options' cache if it has one, else by listing them; only those of the sample are read. `teacher`: of these options.
/// Sets LibTorch's number of threads to 1. Throws Error as an extraction would.
Estimate measure_extraction(ExtractOptions options, const Teacher& teacher, std::uint32_t sample,
                            const std::filesystem::path& scratch);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_CACHE_TEACHER_MEASURE_H_
