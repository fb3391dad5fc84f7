// Results as lines of text.
#ifndef VITRINE_TOOLS_COMMANDS_CLASSIFY_PRINT_H_
#define VITRINE_TOOLS_COMMANDS_CLASSIFY_PRINT_H_

#include <filesystem>
#include <string>

#include "tools/commands/classify/classifier.h"

namespace vitrine {

/// "PATH\tCLASS 93.10 %\tCLASS 4.02 %\n".
std::string as_line(const ClassifiedPicture& picture, const Classifier& classifier);

/// One JSON object and a line feed: {"picture", "top": [{"class", "index", "probability"}, ...]}, with "explanation"
/// if that path is not empty; of a picture that could not be read {"picture", "error"}.
std::string as_json_line(const ClassifiedPicture& picture, const Classifier& classifier,
                         const std::filesystem::path& explanation);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_CLASSIFY_PRINT_H_
