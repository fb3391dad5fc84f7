#include "train/targets/make_source.h"

#include <ATen/ATen.h>

#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "common/base/error.h"
#include "common/base/local_ranks.h"
#include "common/base/progress.h"
#include "common/image/views.h"
#include "common/teacher/class_name_match.h"
#include "common/teacher/teacher_check.h"
#include "train/targets/cached_targets.h"
#include "train/targets/live_teacher.h"
#include "train/targets/mapped_targets.h"
#include "train/targets/no_targets.h"

namespace vitrine {
namespace {

std::unique_ptr<TargetSource> unmapped_source(const SourceSettings& settings, std::shared_ptr<const ImageIndex> index,
                                              const std::shared_ptr<BadPictures>& bad, const StopFlag& stop) {
  switch (settings.targets.source) {
    case TargetKind::kNone:
      return std::make_unique<NoTargets>(settings, std::move(index));
    case TargetKind::kTeacher:
      return std::make_unique<LiveTeacher>(settings, std::move(index), bad, stop);
    case TargetKind::kCache:
      return std::make_unique<CachedTargets>(settings, *index);
  }
  throw std::logic_error("an unknown kind of target source");
}

// By the files that the settings name, else by name: `names`, the source's.
std::optional<ClassMap> map_of(const SourceSettings& settings, const TargetSource& source,
                               const std::vector<std::string>& names, const ImageIndex& index) {
  if (const ClassMapFiles files = settings.targets.class_map_files(); files.given())
    return read_class_map(files, static_cast<std::uint32_t>(source.shapes().classes), index.classes);
  return map_by_name(names, index.classes, settings.folders.images.string(), "targets.");
}

// As vitrine-extract checks it before it makes a cache.
void check_live(const SourceSettings& settings, const LiveTeacher& live, const ImageIndex& index, const ClassMap* map,
                const ViewMaker& views, const StopFlag& stop) {
  const Teacher& teacher = live.teacher();
  if (const std::string difference = decoding_difference(teacher, index); !difference.empty())
    note("warning: " + difference);
  const auto classes = map != nullptr ? static_cast<std::size_t>(map->student_classes())
                                      : static_cast<std::size_t>(live.shapes().classes);
  if (settings.targets.check_images == 0 || classes == 0 || index.labelled() == 0 || classes != index.classes.size())
    return;
  const std::uint32_t workers = settings.workers > 0 ? settings.workers : default_threads();
  const TeacherCheck check = check_teacher(teacher, views, index, settings.targets.check_images, settings.plan.seed,
                                           map, settings.folders.images.string(), "targets.", workers, stop);
  for (const std::string& sentence : check.notes) note(sentence);
  if (!check.refusal.empty()) settings.on_failed_check(check.refusal);
}

void describe(const MappedTargets& targets, const ViewMaker& views) {
  constexpr std::uint32_t kGroups = 4;
  const ClassMap& map = targets.map();
  note(text("class map: ", map.teacher_classes() - map.dropped(), " of the teacher's ", map.teacher_classes(),
            " classes are ", map.columns().size(), " of the student's ", map.student_classes()));
  if (map.dropped() > 0 && !targets.passes(false).empty())
    note(text("class map: ", map.dropped(), " classes of the teacher have no counterpart; their ",
              100 * targets.dropped_probability(kGroups, views),
              " % of its probability (mean of the first groups) are left out, and the others' rescaled"));
  if (map.columns().size() < map.student_classes())
    note(text("class map: ", map.student_classes() - map.columns().size(),
              " classes of the student have no counterpart and take no part in the output term"));
}

}  // namespace

std::unique_ptr<TargetSource> make_source(const SourceSettings& settings, std::shared_ptr<const ImageIndex> index,
                                          std::shared_ptr<BadPictures> bad, const StopFlag& stop) {
  if (bad == nullptr) bad = std::make_shared<BadPictures>(BadImages::kStop, index->images.size(), 0);
  if (settings.targets.class_map_files().given() && settings.targets.source == TargetKind::kNone)
    fail("targets.class_map and targets.class_names map a teacher's classes, but targets.source = \"none\"");
  std::unique_ptr<TargetSource> source = unmapped_source(settings, index, bad, stop);
  std::vector<std::string> names = source->class_names();  // also with files: several teachers' must be the same
  std::optional<ClassMap> map = map_of(settings, *source, names, *index);
  const ViewMaker views(settings.folders, index, source->plan().options().image_size, bad);
  if (const auto* live = dynamic_cast<const LiveTeacher*>(source.get()); live != nullptr && settings.on_failed_check)
    check_live(settings, *live, *index, map ? &*map : nullptr, views, stop);
  if (!map) return source;
  if (settings.targets.class_map_files().given()) names.clear();
  auto mapped = std::make_unique<MappedTargets>(std::move(source), *std::move(map), std::move(names));
  describe(*mapped, views);
  return mapped;
}

}  // namespace vitrine
