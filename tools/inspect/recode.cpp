#include "tools/inspect/recode.h"

#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/hash.h"
#include "common/base/local_ranks.h"
#include "common/base/progress.h"
#include "common/cache/left_out_views.h"
#include "common/cache/shard_directory.h"
#include "common/cache/teacher_classes.h"
#include "common/cache/teacher_score.h"
#include "common/cache/track.h"
#include "common/cache/writer.h"
#include "common/codec/make_codec.h"
#include "common/codec/transform/basis.h"
#include "common/codec/transform/encoder/calibrator.h"
#include "common/image/index_record.h"
#include "common/image/left_out.h"
#include "tools/inspect/file_check.h"
#include "tools/inspect/track_state.h"

namespace vitrine {
namespace {

namespace fs = std::filesystem;

// Whether the source's recipes leave out more views than the copy's. Throws Error if the copy leaves out others.
bool has_more_left_out(const Cache& cache, const fs::path& to, std::uint64_t number) {
  const auto [pass, shard] = cache.plan().layout().key_of(number);
  const RecordedViews theirs = recorded_views(cache.directory(), cache.plan(), pass, shard),
                      ours = recorded_views(to, cache.plan(), pass, shard);
  for (std::size_t g = 0; g < ours.left_out.size(); ++g)
    if (!std::ranges::includes(theirs.left_out[g], ours.left_out[g]))
      throw Error(ErrorKind::kInput, {.path = (to / "recipes" / shard_file_name(number)).string(),
                                      .what = "leaves out views that the source has",
                                      .remedy = "recode into another directory"});
  return theirs.left_out != ours.left_out;
}

// Verifies every byte first, as a copy of a damaged file would be listed with its own, matching hash.
void copy_recipes(const Cache& cache, const fs::path& to, const std::vector<std::uint64_t>& numbers) {
  std::vector<FileRecord> made;
  const ShardLog log(to / "recipes");
  for (const std::uint64_t number : numbers) {
    const fs::path source = cache.recipe_directory().directory() / shard_file_name(number),
                   target = to / "recipes" / shard_file_name(number);
    cache.recipe_directory().open(number);  // throws if it is missing or misplaced
    if (path_exists(target) && !has_more_left_out(cache, to, number)) continue;
    expect_whole(Container(source));
    publish(target, read_file(source), Existing::kReplace);
    made.push_back(describe_file(target));
    log.append(made.back());
  }
  refresh_manifest(to / "recipes", made);
}

// What the images of the index were chosen by: without it, a later scan would take in files that the source's left out.
void copy_index_records(const Cache& cache, const fs::path& to) {
  const std::string hash = cache.index().hash();
  if (const auto record = copied_index_record(cache.directory(), hash); record && !read_index_record(to, hash))
    publish(to / kIndexRecordFile, *record);
  add_left_out(to / kLeftOutFile, read_left_out(cache.directory() / kLeftOutFile));
}

// Uses the first views of the source in group order, so every call gives the same basis. As in an extraction, views
// that are left out do not count.
std::shared_ptr<const FeatureBasis> calibrate(const Cache& cache, const TrackReader& reader,
                                              const RecodeOptions& options) {
  const TrackInfo& track = reader.track();
  const Plan& plan = cache.plan();
  const std::uint32_t group = plan.options().group;
  Calibrator calibrator(track.shape[0], track.shape[1], track.shape[2]);
  TrackReader::Scratch scratch;
  std::vector<float> values(track.view_values() * group);
  for (const std::uint64_t number : reader.shard_directory().numbers()) {
    const ShardSpan span = plan.layout().span_of(number);
    for (std::uint32_t g = 0; g < span.groups; ++g) {
      if (calibrator.views() >= options.calibration_views) break;
      reader.read(span.group(g), scratch, values);
      const std::vector<float> kept = without_left_out(cache.recipes(span.group(g)), values);
      if (!kept.empty()) calibrator.add(kept, static_cast<std::uint32_t>(kept.size() / track.view_values()));
    }
  }
  return std::make_shared<const FeatureBasis>(calibrator.finish(options.codec.max_error, group));
}

// The track.json of an earlier call, if any.
std::optional<TrackInfo> made_before(const fs::path& to, const TrackInfo& track) {
  const fs::path path = to / track.directory() / "track.json";
  if (!path_exists(path)) return std::nullopt;
  return TrackInfo::from_file_text(read_file(path), path.string());
}

// The basis of an earlier call, else a new one. Not recomputed, as the source may have gained shards that change it.
std::shared_ptr<const FeatureBasis> find_basis(const Cache& cache, const TrackReader& reader,
                                               const std::optional<TrackInfo>& before, const RecodeOptions& options) {
  const fs::path path = options.to / basis_path(reader.track());
  if (path_exists(path)) return std::make_shared<const FeatureBasis>(read_basis(path));
  auto basis = calibrate(cache, reader, options);
  if (before && before->codec.encoding == Encoding::kTransform && before->codec.max_error == options.codec.max_error &&
      before->codec.basis != basis->hash())
    throw Error(ErrorKind::kInput,
                {.path = path.string(),
                 .what = text("is missing, and the first ", basis->views, " views of ",
                              reader.shard_directory().directory().string(), " give a different one"),
                 .remedy = "copy it from another copy of this cache, use the original source and "
                           "--calibration-views, or remove the track's directory"});
  return basis;
}

TrackInfo recoded_track(const Cache& cache, const TrackInfo& from, const RecodeOptions& options) {
  TrackInfo made = from;
  made.codec = options.codec;
  made.compression = options.compression;
  made.calibration_views = 0;
  const std::string hash = sha256_hex_of_file(cache.directory() / from.directory() / "track.json");
  made.recoded_from.push_back({from.codec, from.compression, hash, {}});
  return made;
}

class Recoder {
 public:
  Recoder(const Cache& cache, const TrackReader& reader, const TrackInfo& to, std::shared_ptr<const FeatureBasis> basis,
          unsigned workers)
      : cache_(cache),
        reader_(reader),
        to_(to),
        basis_(std::move(basis)),
        codec_(make_codec(to.codec, to.shape, basis_)),
        arena_(static_cast<int>(workers)) {}

  // Throws Error when the codec cannot encode the shard's first group.
  void try_first_group(std::uint64_t number) const {
    const Plan& plan = cache_.plan();
    codec_->encode(targets_of(plan.layout().span_of(number).group(0)), plan.options().group);
  }

  // Recodes one shard; adds its losses to `loss` in group order.
  FileRecord make(const fs::path& directory, std::uint64_t number, CodecLoss& loss) {
    const Plan& plan = cache_.plan();
    const ShardSpan span = plan.layout().span_of(number);
    const std::uint32_t count = span.groups, views = plan.options().group;
    std::vector<std::vector<Array>> groups(count);
    std::vector<CodecLoss> losses(count);
    arena_.execute([&] {
      tbb::parallel_for(std::uint32_t{0}, count, [&](std::uint32_t g) {
        const std::vector<float> source = targets_of(span.group(g));
        std::vector<float> again(source.size());
        groups[g] = codec_->encode(source, views);
        std::vector<std::span<const std::byte>> bytes;
        for (const Array& array : groups[g]) bytes.emplace_back(array.bytes);
        codec_->decode(bytes, views, again);
        losses[g] = measure_loss(to_.kind, to_.shape, views, source, again,
                                 basis_ ? std::span<const float>(basis_->mean) : std::span<const float>());
      });
    });
    CodecLoss of_shard;
    for (const CodecLoss& group : losses) of_shard.add(group);
    loss.add(of_shard);
    // The recoded shard has the made_with of its source.
    const ShardNotes source = read_notes(Container(reader_.shard_directory().directory() / shard_file_name(number)));
    return write_shard(directory, to_, plan, span.key.pass, span.key.shard, groups,
                       {source.made_with, of_shard.json()});
  }

 private:
  // Views that are left out are as blank as in an extraction, whatever the source's encoding made of them.
  std::vector<float> targets_of(GroupKey key) const {
    TrackReader::Scratch scratch;
    std::vector<float> values(to_.view_values() * cache_.plan().options().group);
    reader_.read(key, scratch, values);
    blank_left_out(cache_.recipes(key), values, basis_.get());
    return values;
  }

  const Cache& cache_;
  const TrackReader& reader_;
  const TrackInfo& to_;
  std::shared_ptr<const FeatureBasis> basis_;
  std::unique_ptr<const Codec> codec_;
  tbb::task_arena arena_;
};

}  // namespace

std::string codec_words(const CodecSettings& codec) {
  const auto exact = [](double number) {
    std::array<char, 32> digits;
    return std::string(digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr);
  };
  std::string words = encoding_name(codec.encoding);
  if (codec.max_error > 0) words += text(", max_error ", exact(codec.max_error));
  if (codec.kept > 0) words += text(", ", codec.kept, " kept");
  if (!codec.temperatures.empty()) {
    words += ", temperatures";
    for (const double temperature : codec.temperatures) words += text(" ", exact(temperature));
  }
  return words;
}

namespace {

// The track to write; a basis is chosen later. Throws Error for a recoding that cannot be.
TrackInfo checked_request(const Cache& cache, const TrackInfo& from, const RecodeOptions& options) {
  const fs::path& to = options.to;
  if (to.empty()) fail("--to is empty; expected the directory of another cache, which is created if missing");
  if (same_file(to, cache.directory()))
    throw Error(ErrorKind::kInput,
                {.path = to.string(),
                 .what = text("is the cache itself, which has a track ", from.directory(), " already"),
                 .remedy = "give another directory"});
  TrackInfo track = recoded_track(cache, from, options);
  if (track.codec.encoding == Encoding::kTransform) track.codec.basis.assign(64, '0');  // not known yet
  track.codec.check(track.shape, text("recoding ", from.directory(), " as ", encoding_name(track.codec.encoding)));
  track.check("recode");
  if (const std::uint64_t largest = largest_group(track, 1); cache.plan().options().group > largest)
    fail("recoding ", from.directory(), " as ", encoding_name(track.codec.encoding), ": groups of this cache have ",
         cache.plan().options().group, " views, but this encoding allows at most ", largest,
         " of this shape; choose another encoding");
  return track;
}

// The shards among `numbers` that `to` lacks.
std::vector<std::uint64_t> missing_shards(const fs::path& to, const TrackInfo& track,
                                          const std::vector<std::uint64_t>& numbers) {
  std::vector<std::uint64_t> missing;
  for (const std::uint64_t number : numbers)
    if (!path_exists(to / track.directory() / shard_file_name(number))) missing.push_back(number);
  return missing;
}

}  // namespace

Recoded recode(const Cache& cache, const TrackInfo& from, const RecodeOptions& options) {
  const fs::path& to = options.to;
  TrackInfo track = checked_request(cache, from, options);
  const TrackReader reader(cache, from);
  const std::vector<std::uint64_t>& numbers = reader.shard_directory().numbers();
  if (numbers.empty()) fail(from.directory(), ": has no shards to recode");
  std::shared_ptr<const FeatureBasis> basis;
  if (track.codec.encoding == Encoding::kTransform) {
    const std::optional<TrackInfo> before = made_before(to, track);
    basis = find_basis(cache, reader, before, options);
    track.codec.basis = basis->hash();
    track.calibration_views = basis->views;
  }
  const unsigned workers = options.workers > 0 ? options.workers : default_threads();
  Recoder recoder(cache, reader, track, basis, workers);
  recoder.try_first_group(numbers.front());  // fails before anything is written

  Recoded result{track};
  result.bytes_before = reader.stored_bytes();
  const auto views_in = [&](std::uint64_t number) { return cache.plan().layout().span_of(number).views; };
  const std::vector<std::uint64_t> missing = missing_shards(to, track, numbers);
  std::uint64_t total = 0, left = 0;
  for (const std::uint64_t number : numbers) total += views_in(number);
  for (const std::uint64_t number : missing) left += views_in(number);
  const std::string teacher = teacher_directory(track);
  const std::vector<std::string> names = read_teacher_classes(cache.directory(), teacher);
  if (options.dry_run) {
    check_cache(to, cache.index(), cache.plan());
    check_track(to, track);
    if (!names.empty()) check_teacher_classes(to, teacher, names);
    for (const std::uint64_t number : numbers)
      if (path_exists(to / "recipes" / shard_file_name(number))) has_more_left_out(cache, to, number);  // throws
    result.shards = missing.size(), result.views = left;
    return result;
  }
  create_cache(to, cache.index(), cache.plan());
  copy_index_records(cache, to);
  if (!names.empty()) write_teacher_classes(to, teacher, names);
  create_track(to, track, basis.get());
  if (const auto score = read_teacher_score(cache.directory(), teacher)) write_teacher_score(to, teacher, *score);
  copy_recipes(cache, to, numbers);
  std::vector<FileRecord> made;
  const ShardLog log(to / track.directory());
  Progress progress("recode", "views", total, total - left);
  for (const std::uint64_t number : missing) {
    made.push_back(recoder.make(to, number, result.loss));
    log.append(made.back());
    ++result.shards;
    result.views += views_in(number);
    progress.advance(views_in(number));
  }
  progress.finish();
  const Manifest manifest = refresh_manifest(to / track.directory(), made);
  for (const FileRecord& file : manifest.files()) result.bytes_after += file.bytes;
  return result;
}

}  // namespace vitrine
