// The first views of a run as pictures in its events, so that one sees what the student sees.
#ifndef VITRINE_TRAIN_RUN_TRAINING_VIEWS_H_
#define VITRINE_TRAIN_RUN_TRAINING_VIEWS_H_

#include <cstdint>

#include "common/image/views.h"
#include "train/data/stream.h"
#include "train/run/event_file.h"
#include "train/targets/source.h"

namespace vitrine {

/// Adds up to eight views of the first group of `pass` at step 0, as the student sees them ("views/0", ...), and with
/// the teacher's attention over them, the mean over its heads, where the source has it ("attention/0", ...). Adds
/// nothing for a live teacher, whose targets are not there before it runs. Throws as make_group() does.
void add_training_views(EventFile& events, const TargetSource& source, const ViewMaker& views,
                        const StreamOptions& options, std::uint32_t pass);

}  // namespace vitrine

#endif  // VITRINE_TRAIN_RUN_TRAINING_VIEWS_H_
