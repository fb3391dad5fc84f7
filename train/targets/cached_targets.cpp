#include "train/targets/cached_targets.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "common/base/error.h"
#include "common/base/progress.h"
#include "common/cache/teacher_classes.h"
#include "train/targets/track_values.h"

namespace vitrine {
namespace {

const std::string& named(const std::string& cache) {
  if (cache.empty()) fail("targets.cache is not given; expected the directory that vitrine-extract made");
  return cache;
}

// Two names in the value of `key` mean the same, as "vit" and "vit.a1b2c3d4".
[[noreturn]] void fail_twice(const char* key, const std::string& value, const std::string& directory,
                             const char* what) {
  fail("targets.", key, " = \"", value, "\" names ", directory, " twice; name each ", what, " once");
}

std::string teacher_of(const TrackInfo& track) {
  const std::string directory = track.directory();
  return directory.substr(0, directory.find('/'));
}

}  // namespace

CachedTargets::CachedTargets(const SourceSettings& settings, const ImageIndex& index)
    : cache_(named(settings.targets.cache)),
      teachers_(cache_teachers(settings.targets)),
      temperature_(settings.temperature) {
  const TargetOptions& options = settings.targets;
  check_same_images(cache_.index(), index, options.cache, settings.folders.images.string());
  open_logits(settings);
  for (const std::string& name : feature_tracks(options.features)) {
    Reader reader = open(name);
    for (const Reader& other : features_)
      if (const std::string directory = reader->track().directory(); other->track().directory() == directory)
        fail_twice("features", options.features, directory, "track");
    features_.push_back(std::move(reader));
  }
  if (!options.attention.empty()) attention_ = open(options.attention);
  if (options.embedding) embedding_ = open("embedding");
}

void CachedTargets::open_logits(const SourceSettings& settings) {
  const TargetOptions& options = settings.targets;
  const bool others = !options.features.empty() || !options.attention.empty() || options.embedding;
  for (std::size_t t = 0; t < teachers_.size(); ++t) {
    if (others && !cache_.has_track("logits", teachers_[t])) {
      note(text(options.cache, ": ", teachers_[t].empty() ? "the teacher" : teachers_[t],
                " has no logits: the output term is without it"));
      continue;
    }
    const TrackInfo& track = cache_.track("logits", teachers_[t]);
    for (const Reader& other : logits_)
      if (other->track().directory() == track.directory())
        fail_twice("cache_teacher", options.cache_teacher, teacher_of(track), "teacher");
    logits_.push_back(std::make_unique<const TrackReader>(cache_, track));
    shares_.push_back(options.teacher_shares.empty() ? 1 : options.teacher_shares[t]);
  }
  if (logits_.empty()) return;
  const double sum = std::accumulate(shares_.begin(), shares_.end(), 0.0);
  for (double& share : shares_) share /= sum;
  const TrackInfo& first = logits_.front()->track();
  topk_ = first.codec.encoding == Encoding::kTopk;
  if (topk_) tail_ = tail_at(first, settings.temperature);
  for (const Reader& reader : logits_) {
    const TrackInfo& other = reader->track();
    if (other.shape != first.shape)
      fail(options.cache, ": ", first.directory(), " has ", first.shape[0], " classes, ", other.directory(), " ",
           other.shape[0], "; teachers of different classes cannot teach together");
    if (logits_.size() > 1 && other.codec.encoding == Encoding::kTopk)
      fail(options.cache, ": ", other.directory(),
           " keeps the largest logits only, so its probabilities have no mean with another teacher's; extract all "
           "logits (taps.logits_encoding = \"uniform\")");
  }
}

CachedTargets::Reader CachedTargets::open(const std::string& name) const {
  if (const std::size_t slash = name.find('/'); slash != std::string::npos)
    return std::make_unique<const TrackReader>(cache_, cache_.track(name.substr(slash + 1), name.substr(0, slash)));
  std::vector<std::string> with_track;
  for (const std::string& teacher : teachers_)
    if (cache_.has_track(name, teacher)) with_track.push_back(teacher);
  if (with_track.size() > 1)
    fail("targets names ", name, ", which ", with_track[0], " and ", with_track[1], " have; name it ", with_track[0],
         '/', name, " or ", with_track[1], '/', name);
  return std::make_unique<const TrackReader>(
      cache_, cache_.track(name, with_track.empty() ? teachers_.front() : with_track.front()));
}

TargetShapes CachedTargets::shapes() const {
  const auto info = [](const Reader& reader) { return reader ? &reader->track() : nullptr; };
  std::vector<const TrackInfo*> features;
  std::vector<std::shared_ptr<const FeatureBasis>> bases;
  for (const Reader& reader : features_) {
    features.push_back(info(reader));
    bases.push_back(reader->basis());
  }
  return shapes_of(logits_.empty() ? nullptr : info(logits_.front()), features, std::move(bases), info(attention_),
                   info(embedding_), topk_);
}

std::vector<TrackInfo> CachedTargets::tracks() const {
  std::vector<TrackInfo> out;
  for (const std::vector<Reader>* readers : {&logits_, &features_})
    for (const Reader& reader : *readers) out.push_back(reader->track());
  for (const Reader* reader : {&attention_, &embedding_})
    if (*reader) out.push_back((*reader)->track());
  return out;
}

std::vector<std::string> CachedTargets::class_names() const {
  std::vector<std::string> out;
  for (const Reader& reader : logits_) {
    const std::string teacher = teacher_of(reader->track());
    std::vector<std::string> names = read_teacher_classes(cache_.directory(), teacher);
    if (!names.empty() && names.size() != reader->track().shape[0])
      throw Error(ErrorKind::kCorrupt,
                  {.path = (cache_.directory() / teacher / kTeacherClassesFile).string(),
                   .what = text("names ", names.size(), " classes, but the logits have ", reader->track().shape[0]),
                   .remedy = "the file is damaged, copy or make it again"});
    if (&reader != &logits_.front() && names != out)
      fail(cache_.directory().string(), ": the classes of ", teacher_of(logits_.front()->track()), " and of ", teacher,
           " have other names or another order; teachers of different classes cannot teach together: name one of them "
           "in "
           "targets.cache_teacher");
    out = std::move(names);
  }
  return out;
}

std::vector<std::uint32_t> CachedTargets::passes(bool features) const {
  std::vector<std::uint32_t> out = cache_.recipe_passes();
  const auto keep = [&out](const Reader& reader) {
    const std::vector<std::uint32_t> others = reader->passes();
    std::erase_if(out, [&](std::uint32_t pass) { return std::ranges::find(others, pass) == others.end(); });
  };
  for (const Reader& reader : logits_) keep(reader);
  if (!features && !logits_.empty()) return out;
  for (const Reader& reader : features_) keep(reader);
  for (const Reader* reader : {&attention_, &embedding_})
    if (*reader) keep(*reader);
  return out;
}

std::vector<float> CachedTargets::read(const Reader& reader, GroupKey key) const {
  thread_local TrackReader::Scratch scratch;
  std::vector<float> out;
  if (!reader || !reader->has_pass(key.pass)) return out;
  out.resize(reader->track().view_values() * plan().options().group);
  reader->read(key, scratch, out);
  return out;
}

std::vector<float> CachedTargets::read_topk(GroupKey key) const {
  thread_local TrackReader::Scratch scratch;
  const TrackReader& reader = *logits_.front();
  if (!reader.has_pass(key.pass)) return {};
  TopkGroup kept(reader.track(), plan().options().group);
  reader.read_kept(key, scratch, kept.values, kept.indices, kept.tails);
  return kept.packed(tail_);
}

std::vector<float> CachedTargets::read_logits(GroupKey key) const {
  if (logits_.empty()) return {};
  if (topk_) return read_topk(key);
  if (logits_.size() == 1) return read(logits_.front(), key);
  std::vector<std::vector<float>> all;
  for (const Reader& reader : logits_) {
    all.push_back(read(reader, key));
    if (all.back().empty()) return {};
  }
  return mean_of_teachers(all, shares_, logits_.front()->track().shape[0], temperature_);
}

GroupTargets CachedTargets::targets(GroupKey key, std::span<const Recipe>, std::span<const std::uint8_t>) const {
  thread_local TrackReader::Scratch scratch;
  GroupTargets out{read_logits(key), {}, read(attention_, key), read(embedding_, key)};
  for (const Reader& reader : features_) {
    at::Tensor& features = out.features.emplace_back();
    if (!reader->has_pass(key.pass)) continue;
    features = room_for(reader->track(), plan().options().group);
    reader->read_in_own_basis(key, scratch, numbers(features));
  }
  return out;
}

std::vector<float> mean_of_teachers(const std::vector<std::vector<float>>& logits, std::span<const double> shares,
                                    std::size_t classes, double temperature) {
  const auto rows = static_cast<std::int64_t>(logits.front().size() / classes);
  at::Tensor mean;
  for (std::size_t t = 0; t < logits.size(); ++t) {
    const at::Tensor values =
        at::from_blob(const_cast<float*>(logits[t].data()), {rows, static_cast<std::int64_t>(classes)}, at::kFloat);
    const at::Tensor part = at::softmax(values.to(at::kDouble) / temperature, 1) * shares[t];
    mean = mean.defined() ? mean + part : part;
  }
  constexpr double kLeast = 1e-300;  // no logarithm of 0
  const at::Tensor combined = (mean.clamp_min(kLeast).log() * temperature).to(at::kFloat).contiguous();
  const float* values = combined.const_data_ptr<float>();
  return {values, values + combined.numel()};
}

void check_same_images(const ImageIndex& expected, const ImageIndex& found, const std::string& expected_in,
                       const std::string& found_in) {
  const auto refuse = [&](const std::string& difference) {
    fail(expected_in, ": was made from other images than ", found_in, ": ", difference,
         "; use the folder that it was made from; where pictures are gone or damaged, bad_images = \"skip\" continues ",
         "without them");
  };
  if (expected.classes.size() != found.classes.size())
    refuse(text("it has ", expected.classes.size(), " classes, the folder ", found.classes.size()));
  for (std::size_t c = 0; c < expected.classes.size(); ++c)
    if (expected.classes[c] != found.classes[c])
      refuse(text("its class ", c, " is ", expected.classes[c], ", the folder's is ", found.classes[c]));
  const auto further = [](const ImageIndex& index) {
    return std::ranges::count_if(index.images, is_unlabelled, &ImageEntry::id);
  };
  if (const auto a = further(expected), b = further(found); a != b)
    refuse(text("it has ", a, " images in a further folder of images without labels (unlabelled), this run has ", b));
  if (expected.images.size() != found.images.size())
    refuse(text("it has ", expected.images.size(), " images, the folder ", found.images.size()));
  for (std::size_t i = 0; i < expected.images.size(); ++i) {
    const ImageEntry &a = expected.images[i], &b = found.images[i];
    if (a.id != b.id) refuse(text("its image ", i, " is ", a.id, ", the folder's is ", b.id));
    if (a.hash != b.hash || a.file_bytes != b.file_bytes) refuse(text("image ", a.id, " has other contents"));
  }
  if (expected.hash() != found.hash()) refuse("labels or sizes differ");
}

}  // namespace vitrine
