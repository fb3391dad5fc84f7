#include "tools/pack/card.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "common/base/counted.h"
#include "common/base/digits.h"
#include "common/base/error.h"
#include "common/base/format_version.h"
#include "common/base/progress.h"
#include "common/cache/container.h"
#include "common/cache/shard_directory.h"
#include "common/cache/teacher_score.h"
#include "common/image/left_out.h"
#include "tools/inspect/track_words.h"
#include "tools/inspect/words.h"

namespace vitrine {
namespace {

using Row = std::vector<std::string>;
using Json = nlohmann::ordered_json;

std::string cell(const std::string& words) {
  std::string out;
  for (const char c : words) out += c == '|' ? std::string("\\|") : c == '\n' ? " " : std::string(1, c);
  return out;
}

// A table in Markdown; the first row is the heading.
std::string table(const std::vector<Row>& rows) {
  std::string out;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    out += "|";
    for (const std::string& words : rows[r]) out += " " + cell(words) + " |";
    out += "\n";
    if (r > 0) continue;
    out += "|";
    for (std::size_t i = 0; i < rows[0].size(); ++i) out += " --- |";
    out += "\n";
  }
  return out;
}

std::string joined(const std::vector<std::string>& words, const char* between) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : between) + word;
  return out;
}

// One track of each teacher, whose record they share.
std::vector<const TrackInfo*> teachers_of(const std::vector<TrackState>& tracks) {
  std::vector<const TrackInfo*> out;
  for (const TrackState& track : tracks)
    if (std::ranges::none_of(
            out, [&](const TrackInfo* known) { return teacher_directory(*known) == teacher_directory(*track.info); }))
      out.push_back(track.info);
  return out;
}

// As Hugging Face's cards have it: an identifier, "unknown", or "other" with a name.
std::string license_yaml(const std::vector<const TrackInfo*>& teachers) {
  std::set<std::string> names;
  for (const TrackInfo* track : teachers) names.insert(track->teacher.license);
  if (names.empty() || names == std::set<std::string>{""}) return "license: unknown\n";
  const std::string& one = *names.begin();
  if (names.size() == 1 && one.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789.-") == std::string::npos)
    return "license: " + one + "\n";
  std::vector<std::string> words;
  for (const std::string& name : names) words.push_back(name.empty() ? "unknown" : name);
  return "license: other\nlicense_name: " +
         Json(joined(words, "; ")).dump(-1, ' ', true, Json::error_handler_t::replace) + "\n";
}

std::string size_category(std::size_t images) {
  constexpr std::pair<std::size_t, const char*> kSizes[] = {{1'000, "n<1K"},          {10'000, "1K<n<10K"},
                                                            {100'000, "10K<n<100K"},  {1'000'000, "100K<n<1M"},
                                                            {10'000'000, "1M<n<10M"}, {100'000'000, "10M<n<100M"}};
  for (const auto& [limit, name] : kSizes)
    if (images < limit) return name;
  return "100M<n<1B";
}

std::string front_matter(const Cache& cache, const std::vector<const TrackInfo*>& teachers) {
  return text("---\n", license_yaml(teachers), "task_categories:\n- image-classification\ntags:\n- vitrine\n",
              "- knowledge-distillation\n- vision-transformer\nsize_categories:\n- ",
              size_category(cache.index().images.size()), "\n---\n");
}

std::string class_words(const std::vector<std::string>& classes) {
  constexpr std::size_t kShown = 10;
  if (classes.empty()) return "none";
  std::vector<std::string> shown(classes.begin(), classes.begin() + std::min(kShown, classes.size()));
  std::string out = text(human_count(classes.size()), ": ", joined(shown, ", "));
  if (classes.size() > kShown) out += ", ...";
  return out;
}

std::string images_section(const Cache& cache) {
  const Plan& plan = cache.plan();
  const ShardLayout layout = plan.layout();
  const std::string left_out = counts_by_kind(read_left_out(cache.directory() / kLeftOutFile));
  std::vector<Row> rows{{"of", "recorded"}};
  rows.push_back({"images", cache.index().describe()});
  rows.push_back({"classes", class_words(cache.index().classes)});
  rows.push_back({"index (SHA-256)", cache.index().hash()});
  if (!left_out.empty()) rows.push_back({"files left out", left_out});
  rows.push_back({"decoding", cache.index().decoding.describe()});
  rows.push_back({"plan (SHA-256)", plan.hash()});
  rows.push_back({"views per pass", text(human_count(layout.views_per_pass()), " in ",
                                         human_count(layout.groups_per_pass), " groups of ", layout.group_views)});
  std::vector<std::string> settings;
  const Json json = Json::parse(plan.json());
  for (const auto& [key, value] : json["settings"].items()) settings.push_back(key + " " + value.dump());
  rows.push_back({"augmentation", joined(settings, ", ")});
  return "## Images and views\n\nThe pictures are not part of the cache. A view is one augmented picture as the "
         "teacher saw it; a pass is one\naugmented sweep over all images.\n\n" +
         table(rows);
}

std::string score_words(const std::optional<TeacherScore>& score) {
  if (!score) return "not recorded";
  return text(percent_words(score->top1), " (top-5 ", percent_words(score->top5), ") on clean crops of ",
              counted(score->images, "image"), " when the cache was prepared");
}

std::string triplet(const std::vector<double>& values) {
  std::vector<std::string> words;
  for (const double value : values) words.push_back(Json(value).dump());
  return joined(words, " ");
}

std::string teachers_section(const Cache& cache, const std::vector<const TrackInfo*>& teachers) {
  std::string out = "## Teachers\n";
  for (const TrackInfo* track : teachers) {
    const TeacherRecord& teacher = track->teacher;
    const std::string directory = teacher_directory(*track);
    std::vector<Row> rows{{directory, "recorded"}};
    rows.push_back({"name", teacher.name});
    rows.push_back(
        {teacher.zero_shot ? "weights and class texts (SHA-256)" : "weights (SHA-256)", teacher.weights_sha256});
    rows.push_back({"licence of the weights", teacher.license.empty() ? "not recorded" : teacher.license});
    rows.push_back({"top-1", score_words(read_teacher_score(cache.directory(), directory))});
    rows.push_back({"architecture", teacher.architecture.family + " " + teacher.architecture.settings});
    if (const auto& own = teacher.resampled_from)
      rows.push_back({"resampled from", text(own->image_size > 0 ? text("image_size ", own->image_size, ", ") : "",
                                             "patch ", own->patch)});
    rows.push_back({"normalisation", text("mean ", triplet(teacher.mean), ", std ", triplet(teacher.stddev))});
    rows.push_back({"clean crops", text("crop_pct ", Json(teacher.crop_pct).dump(), ", ", teacher.interpolation)});
    out += "\n" + table(rows);
  }
  return teachers.empty() ? out + "\nNone.\n" : out;
}

std::string tracks_section(const std::vector<TrackState>& tracks) {
  std::vector<Row> rows{{"track", "shape of a view", "encoding", "passes", "views", "bytes per view", "bytes",
                         "error bound", "measured error"}};
  for (const TrackState& state : tracks) {
    const TrackInfo& track = *state.info;
    const auto or_none = [](const std::string& words) { return words.empty() ? std::string("none recorded") : words; };
    std::string encoding = encoding_words(track.codec);
    for (const EncodingRecord& earlier : track.recoded_from)
      encoding += earlier.unknown.empty() ? ", recoded from " + encoding_words(earlier.codec) : ", recoded";
    rows.push_back({track.directory(), shape_words(track.shape), encoding, range_words(state.passes),
                    human_count(state.views), human_count(static_cast<std::uint64_t>(state.bytes_per_view() + 0.5)),
                    human_count(state.bytes), track.codec.max_error > 0 ? bound_words(track.codec) : "of the encoding",
                    or_none(measured_words(state.loss))});
  }
  std::string out = "## Tracks\n\n";
  if (tracks.empty()) return out + "None.\n";
  return out + table(rows) +
         "\nPasses are those that are complete. An error is that of the stored values against the teacher's outputs, "
         "as the encoder\nmeasured it in every shard; of a recoded track, against the track that it was made from.\n";
}

// A track that the examples read: logits, if there are any.
const TrackInfo* example_of(const std::vector<TrackState>& tracks) {
  const auto logits = std::ranges::find_if(tracks, [](const auto& track) { return track.info->kind == "logits"; });
  if (logits != tracks.end()) return logits->info;
  return tracks.empty() ? nullptr : tracks.front().info;
}

// "768, 14, 14".
std::string axes_words(const std::vector<std::uint32_t>& shape) {
  std::vector<std::string> axes;
  for (const std::uint32_t axis : shape) axes.push_back(std::to_string(axis));
  return joined(axes, ", ");
}

std::string reading_section(const Cache& cache, const std::vector<TrackState>& tracks) {
  const TrackInfo* track = example_of(tracks);
  if (track == nullptr) return "";
  const std::string name = track->name(), teacher = teacher_directory(*track);
  return text(
      "## Reading it\n\nFrom a tar, `vitrine-cache unpack FILE.tar -o CACHE` makes the directory and checks every ",
      "byte. `tar -xf FILE.tar -C CACHE` extracts it\nas well, and `vitrine-cache unpack --check CACHE` checks the ",
      "result.\n\n```python\n", "from vitrine_cache import Cache                    # tools/python of Vitrine\n",
      "track = Cache(\"CACHE\").track(\"", teacher, "/", name, "\")\n",
      "values = track.read(0, 0)                          # pass 0, group 0: float32 [", cache.plan().options().group,
      ", ", axes_words(track->shape), "]\n```\n\n```cpp\n",
      "#include \"common/cache/cache.h\"                    // find_package(Vitrine), link vitrine::cache_reader\n",
      "const vitrine::Cache cache(\"CACHE\");\n", "const vitrine::TrackReader reader(cache, cache.track(\"", name,
      "\", \"", teacher, "\"));\n", "vitrine::TrackReader::Scratch scratch;\n", "std::vector<float> values(",
      cache.plan().options().group, " * ", track->view_values(), ");\n",
      "reader.read({0, 0}, scratch, values);              // pass 0, group 0\n```\n\n",
      "The files are HDF5; common/cache/FORMAT.md of Vitrine specifies every byte.\n");
}

// "vitrine 0.1.0, hdf5 1.10.8, zstd 1.5.4", as a file records it.
std::string writer_words(const std::filesystem::path& path, const char* format) {
  const Json json = attributes(Container(path), format);
  std::vector<std::string> words;
  if (const auto writers = json.find("written_by"); writers != json.end() && writers->is_object())
    for (const auto& [library, version] : writers->items())
      words.push_back(library + " " + (version.is_string() ? version.get<std::string>() : version.dump()));
  return words.empty() ? "not recorded" : joined(words, ", ");
}

std::string arithmetic_words(const ComputeRecord& record) {
  std::string out = text(record.precision, " on ", record.device.name, " (", record.device.capability,
                         "), micro-batch ", record.micro_batch);
  for (const auto& [library, version] : record.device.libraries) out += ", " + library + " " + version;
  return out;
}

std::string versions_section(const Cache& cache, const std::vector<TrackState>& tracks) {
  std::vector<Row> rows{{"file", "written by", "computed in"}};
  rows.push_back({"index.h5", writer_words(cache.directory() / "index.h5", kIndexFormat), ""});
  for (const TrackState& track : tracks) {
    const std::filesystem::path directory = cache.directory() / track.info->directory();
    const std::vector<std::uint64_t> numbers = list_shard_numbers(directory);
    if (numbers.empty()) continue;
    std::vector<std::string> kinds;
    for (const ArithmeticKind& kind : track.kinds)
      kinds.push_back((track.kinds.size() > 1 ? human_count(kind.shards) + " shards: " : "") +
                      arithmetic_words(kind.made_with));
    rows.push_back({track.info->directory(), writer_words(directory / shard_file_name(numbers.front()), kShardFormat),
                    joined(kinds, "; ")});
  }
  return text("## Versions\n\nFormat ", kFormatMajor, ".", kFormatMinor, ".\n\n", table(rows));
}

}  // namespace

std::string cache_card(const Cache& cache, const std::vector<TrackState>& tracks) {
  const std::vector<const TrackInfo*> teachers = teachers_of(tracks);
  std::vector<std::string> names;
  for (const TrackInfo* track : teachers)
    if (std::ranges::find(names, track->teacher.name) == names.end()) names.push_back(track->teacher.name);
  return text(front_matter(cache, teachers), "\n# ",
              names.empty() ? "Views of a data set" : "Outputs of " + joined(names, " and "), "\n\n",
              "A cache of Vitrine: a vision transformer's outputs for augmented views of pictures, ",
              "for training\nstudents without it. Every figure on this page is recorded in the cache.\n\n",
              images_section(cache), "\n", teachers_section(cache, teachers), "\n", tracks_section(tracks), "\n",
              reading_section(cache, tracks), "\n", versions_section(cache, tracks));
}

}  // namespace vitrine
