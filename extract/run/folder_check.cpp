#include "extract/run/folder_check.h"

#include <tbb/parallel_for.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <vector>

#include "common/base/error.h"
#include "common/base/progress.h"
#include "common/image/scan.h"

namespace vitrine {
namespace {

void check_kinds(const ImageFolders& folders, const ImageIndex& index) {
  if ((folders.labels == Labels::kNone) != index.classes.empty())
    fail("labels = \"", folders.labels == Labels::kNone ? "none" : "folders", "\", but the cache's index has ",
         index.classes.empty() ? "no classes" : text(index.classes.size(), " classes"),
         "; use the settings that the cache was prepared with");
  const bool further =
      std::ranges::any_of(index.images, [](const ImageEntry& image) { return is_unlabelled(image.id); });
  if (further == folders.unlabelled.empty())
    fail("unlabelled is ", further ? "not given, but the cache's index has" : "given, but the cache's index has no",
         " images of such a folder; use the settings that the cache was prepared with");
}

}  // namespace

void check_folder(const ImageFolders& folders, const ImageIndex& index, BadImages policy) {
  check_kinds(folders, index);
  const std::vector<std::size_t> sample = verified_sample(index.images.size());
  std::vector<char> differs(sample.size(), 0);
  tbb::parallel_for(std::size_t{0}, sample.size(), [&](std::size_t i) {
    const ImageEntry& image = index.images[sample[i]];
    std::error_code failure;
    const auto bytes = std::filesystem::file_size(folders.file(image.id), failure);
    differs[i] = failure || bytes != image.file_bytes ? 1 : 0;
  });
  const auto count = static_cast<std::size_t>(std::ranges::count(differs, 1));
  const bool skips = policy == BadImages::kSkip;
  if (count > (skips ? sample.size() / 2 : 0)) {
    const auto first = static_cast<std::size_t>(std::ranges::find(differs, 1) - differs.begin());
    throw Error(ErrorKind::kInput,
                {.path = folders.describe(),
                 .what = text(count, " of ", sample.size(), " sampled images of the cache's index are ",
                              "missing or have another size, the first is ", index.images[sample[first]].id),
                 .remedy = skips ? "expected the folder that the cache was prepared from"
                                 : "expected the folder that the cache was prepared from; where single pictures are "
                                   "gone, bad_images = \"skip\" continues without them"});
  }
  note(text(folders.describe(), ": the sizes of ", human_count(sample.size()), " of ", human_count(index.images.size()),
            " images are those of the cache's index; contents are checked as pictures are read, added files are not "
            "looked for"));
}

}  // namespace vitrine
