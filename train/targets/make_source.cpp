#include "train/targets/make_source.h"

#include <ATen/ATen.h>

#include <stdexcept>
#include <utility>

#include "common/base/error.h"
#include "common/base/progress.h"
#include "common/image/views.h"
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
  const ClassMapFiles files = settings.targets.class_map_files();
  if (!files.given()) return unmapped_source(settings, std::move(index), bad, stop);
  if (settings.targets.source == TargetKind::kNone)
    fail("targets.class_map and targets.class_names map a teacher's classes, but targets.source = \"none\"");
  std::unique_ptr<TargetSource> source = unmapped_source(settings, index, bad, stop);
  ClassMap map = read_class_map(files, static_cast<std::uint32_t>(source->shapes().classes), index->classes);
  auto mapped = std::make_unique<MappedTargets>(std::move(source), std::move(map));
  const ViewMaker views(settings.folders, index, mapped->plan().options().image_size, bad);
  describe(*mapped, views);
  return mapped;
}

}  // namespace vitrine
