// The pictures that a command line names.
#ifndef VITRINE_TOOLS_COMMANDS_CLASSIFY_PICTURES_H_
#define VITRINE_TOOLS_COMMANDS_CLASSIFY_PICTURES_H_

#include <filesystem>
#include <string>
#include <vector>

#include "common/image/left_out.h"

namespace vitrine {

struct PictureList {
  std::vector<std::filesystem::path> files;  ///< in the order of the arguments; of a folder ascending by path
  std::vector<LeftOut> left_out;             ///< found in folders and not taken, with full paths
};

/// A file is taken whatever it holds; of a folder all that is below it, links to folders followed, except hidden files,
/// sidecar files, junk folders and files that do not begin as a picture. Throws Error for an argument that does not
/// exist, a folder that cannot be listed, and if there is no file at all.
PictureList list_pictures(const std::vector<std::string>& arguments);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_CLASSIFY_PICTURES_H_
