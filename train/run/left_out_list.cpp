#include "train/run/left_out_list.h"

#include <ATen/ATen.h>

#include <vector>

#include "common/base/error.h"
#include "common/base/progress.h"
#include "common/image/scan_report.h"
#include "train/run_files/run_files.h"

namespace vitrine {

void keep_left_out(const TrainingImages& images, const ImageFolders& folders, const std::filesystem::path& output,
                   bool resumed, const Evaluation* validation, const Evaluation* test) {
  const std::filesystem::path list = RunFiles(output).left_out();
  const auto by_path = [folders](LeftOut entry) {
    entry.id = folders.path_of(entry.id);
    return entry;
  };
  std::vector<LeftOut> all;
  for (const LeftOut& entry : images.left_out) all.push_back(by_path(entry));
  for (const LeftOut& entry : images.bad->met()) all.push_back(by_path(entry));
  for (const Evaluation* evaluation : {validation, test}) {
    if (evaluation == nullptr) continue;
    const std::vector<LeftOut> left_out = evaluation->left_out();
    if (!left_out.empty())
      note(text("left out of the ", evaluation == test ? "test" : "validation", " images: ", counts_by_kind(left_out)));
    all.insert(all.end(), left_out.begin(), left_out.end());
  }
  write_left_out(list, all, [resumed](const LeftOut&) { return resumed; });
  say_where_all_are_named(all, list);
  images.bad->on_new([by_path, tell = tell_and_list(list)](const LeftOut& entry) { tell(by_path(entry)); });
}

void add_left_out_of(const Evaluation& images, const std::filesystem::path& output) {
  const std::vector<LeftOut> left_out = images.left_out();
  if (left_out.empty()) return;
  const std::filesystem::path list = RunFiles(output).left_out();
  const std::size_t before = read_left_out(list).size();
  add_left_out(list, left_out);
  if (read_left_out(list).size() > before)
    note(text("left out of the evaluated images: ", counts_by_kind(left_out), "; ", kLeftOutFile, " lists them"));
}

}  // namespace vitrine
