// The card of a folder in timm's layout, for timm.create_model("local-dir:FOLDER", pretrained=True) and for the hub.
#ifndef VITRINE_TOOLS_COMMANDS_EXPORT_TIMM_FOLDER_H_
#define VITRINE_TOOLS_COMMANDS_EXPORT_TIMM_FOLDER_H_

#include <string>

#include "train/run/stored_student.h"

namespace vitrine {

/// The text of config.json. Throws Error, naming the student's file, if its width is not 64: timm has no such model.
std::string timm_card(const StoredStudent& student);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_EXPORT_TIMM_FOLDER_H_
