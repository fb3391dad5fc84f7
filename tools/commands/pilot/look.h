// What `vitrine pilot` is about to do, and what that costs on this machine.
#ifndef VITRINE_TOOLS_COMMANDS_PILOT_LOOK_H_
#define VITRINE_TOOLS_COMMANDS_PILOT_LOOK_H_

#include <string>
#include <vector>

#include "common/base/stop.h"
#include "tools/commands/pilot/pictures.h"
#include "tools/commands/pilot/request.h"

namespace vitrine {

/// The pictures of the request, before any is read. Throws Error for a folder with fewer than two classes or too few
/// pictures.
PictureDraw draw_of(const PilotRequest& request, const std::vector<PilotTeacher>& teachers);

/// Links them, unless that was done before; an unfinished earlier attempt is begun anew.
void link_pictures(const PilotRequest& request, const std::vector<PilotTeacher>& teachers, const StopFlag& stop);

/// Pictures, views, students, teachers, as a table for people.
std::string describe(const PilotRequest& request, const std::vector<PilotTeacher>& teachers, const PictureDraw& draw);

/// Runs each teacher and a student for a few groups: time and disk, as a table for people. Writes only into temporary
/// directories, beside the caches.
std::string estimate(const PilotRequest& request, const std::vector<PilotTeacher>& teachers, const PictureDraw& draw,
                     const StopFlag& stop);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_PILOT_LOOK_H_
