#include "extract/prepare/images.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/progress.h"
#include "common/cache/cache.h"
#include "common/image/hold_out.h"
#include "common/image/index_record.h"
#include "common/image/scan_report.h"

namespace vitrine {

PreparedImages scan_for_cache(const ExtractOptions& options, const StopFlag& stop) {
  const ImageFolders folders = options.folders();
  const std::filesystem::path cache = options.cache;
  const ScanOptions how{options.index_depth, options.verify_images, options.bad_images == BadImages::kSkip, true, &stop,
                        options.decoding};
  PreparedImages out;
  out.hold_out = options.hold_out;
  if (path_exists(cache / "index.h5")) {
    const KnownIndex known = known_index(cache, read_index(cache / "index.h5"));
    if (!(known.index.decoding == options.decoding))
      throw Error(ErrorKind::kInput, {.path = (cache / "index.h5").string(),
                                      .what = text("was made with ", known.index.decoding.describe(), ", this run has ",
                                                   options.decoding.describe()),
                                      .remedy = "use the same settings, or another cache directory"});
    check_hold_out(options.cache, known.hold_out, options.hold_out);
    out.scan = scan_images(folders, how, known);
    if (known.depth >= how.depth && how.verify == VerifyImages::kSample)
      note(text("compared all file sizes and the contents of ",
                human_count(verified_sample(known.index.images.size()).size()), " images with the cache's index"));
  } else {
    out.scan = scan_images(folders, how);
    if (!options.allow_empty) refuse_empty_classes(out.scan.left_out, options.images);
  }
  out.index = std::make_shared<const ImageIndex>(std::move(out.scan.index));
  note(text(folders.describe(), ": ", out.index->describe()));
  say_what_is_left_out(out.scan.left_out);
  say_what_is_special(out.scan.counts, out.index->decoding);
  out.bad = std::make_shared<BadPictures>(options.bad_images, out.index->images.size(), options.max_bad_share);
  say_what_is_skipped(out.scan.bad);
  for (const auto& [image, entry] : out.scan.bad) out.bad->add(image, entry);
  return out;
}

void write_index_record_and_left_out(const std::filesystem::path& cache, const PreparedImages& images) {
  write_index_record(cache, images.index->hash(), {images.scan.depth, images.scan.counts, images.hold_out});
  std::vector<LeftOut> list = images.scan.left_out;
  for (const auto& [image, entry] : images.scan.bad) list.push_back(entry);
  std::set<std::string_view> found;
  for (const LeftOut& entry : images.scan.left_out) found.insert(entry.id);
  // Pictures skipped by earlier or concurrent processes are marked in their shards. What the index was made without and
  // is gone now must stay left out if it comes back.
  const auto keeps = [&](const LeftOut& entry) {
    return entry.kind > LeftOutKind::kNotInIndex ||
           (!found.contains(entry.id) &&
            !std::ranges::binary_search(images.index->images, entry.id, {}, &ImageEntry::id));
  };
  write_left_out(cache / kLeftOutFile, std::move(list), keeps);
  say_where_all_are_named(images.scan.left_out, cache / kLeftOutFile);
}

}  // namespace vitrine
