// vitrine-cache show: a contact sheet.
#include <fstream>
#include <iostream>
#include <map>
#include <memory>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/progress.h"
#include "common/cache/cache.h"
#include "common/cache/teacher_classes.h"
#include "common/image/left_out.h"
#include "common/image/lost_pictures.h"
#include "common/image/views.h"
#include "common/image/write.h"
#include "common/plan/class_names.h"
#include "tools/commands/cache/command.h"
#include "tools/commands/cache/sheet.h"
#include "tools/inspect/track_state.h"
#include "tools/inspect/words.h"

namespace vitrine {
namespace {

constexpr std::size_t kGuesses = 3;

struct ShowRequest {
  std::string directory, out, images, unlabelled, class_names;
  std::vector<std::string> tracks;
  std::uint32_t pass = 0, count = 12;
  std::uint64_t first = 0;
  int size = 0;
  bool dry_run = false;
};

// The tracks to show: the named ones, else the last of each kind that has the pass.
struct Shown {
  std::unique_ptr<const TrackReader> logits, attention;
};

bool has(const ShardDirectory& shard_directory, const Plan& plan, std::uint32_t pass, std::uint32_t group) {
  return shard_directory.holds(plan.layout().number_of(GroupKey{pass, group}));
}

Shown choose(const Cache& cache, const ShowRequest& request, std::uint32_t group) {
  Shown shown;
  const auto take = [&](const TrackInfo& track, bool named) {
    if (track.kind != "logits" && track.kind != "attention") {
      if (named) fail("--track ", track.name(), ": a sheet shows logits and attention; name one of those");
      return;
    }
    auto reader = std::make_unique<const TrackReader>(cache, track);
    const bool there = has(reader->shard_directory(), cache.plan(), request.pass, group);
    if (named && !there)
      fail(cache.directory().string(), ": ", track.directory(), " has no shard for pass ", request.pass, ", group ",
           group, "; vitrine-cache info lists its passes");
    if (there) (track.kind == "logits" ? shown.logits : shown.attention) = std::move(reader);
  };
  if (request.tracks.empty())
    for (const TrackInfo& track : cache.tracks()) take(track, false);
  if (request.tracks.empty())
    for (const Cache::BadTrack& track : cache.bad_tracks()) note(text("not shown: ", track.error.what()));
  for (const std::string& word : request.tracks) {
    const std::size_t slash = word.find('/');
    take(slash == std::string::npos ? cache.track(word) : cache.track(word.substr(slash + 1), word.substr(0, slash)),
         true);
  }
  return shown;
}

// Names of the teacher's classes.
struct ClassNames {
  std::vector<std::string> names;                    // empty: classes are named by number
  std::vector<std::vector<std::uint32_t>> of_label;  // the teacher's classes for each label of the images
  std::string whence;
};

ClassNames class_names(const Cache& cache, const ShowRequest& request, const Shown& shown) {
  ClassNames out;
  const std::vector<std::string>& labels = cache.index().classes;
  if (!shown.logits) {
    if (!request.class_names.empty())
      fail("--class-names is for a track of logits, and none is shown; vitrine-cache info lists them");
    return out;
  }
  const std::uint64_t classes = shown.logits->track().view_values();
  out.of_label.resize(labels.size());
  const TrackInfo& track = shown.logits->track();
  const std::vector<std::string> recorded = request.class_names.empty()
                                                ? read_teacher_classes(cache.directory(), teacher_directory(track))
                                                : read_class_names(request.class_names, classes);
  if (recorded.size() == classes) {
    out.names = recorded;
    std::map<std::string, std::size_t> numbered;
    for (std::size_t label = 0; label < labels.size(); ++label) numbered[labels[label]] = label;
    for (std::uint32_t k = 0; k < classes; ++k)
      if (const auto label = numbered.find(out.names[k]); label != numbered.end())
        out.of_label[label->second].push_back(k);
    out.whence = request.class_names.empty() ? "those that the cache records" : request.class_names;
  } else if (classes == labels.size()) {
    out.names = labels;
    for (std::uint32_t label = 0; label < classes; ++label) out.of_label[label] = {label};
    out.whence = "those of the images, as the numbers of classes agree";
  } else {
    out.whence = text("none, as it has ", classes, " and the images ", labels.size(),
                      "; --class-names FILE gives them, one per line");
  }
  return out;
}

// The sheet's views in one group: positions [first, end).
std::vector<SheetView> make_views(const Cache& cache, const ViewMaker& maker, const LostPictures& lost,
                                  const Shown& shown, const ClassNames& classes, GroupKey key, std::size_t first,
                                  std::size_t end, int size) {
  std::vector<Recipe> recipes = cache.recipes(key);
  lost.mark(recipes);
  const std::vector<std::uint8_t> pictures = maker.group(recipes, size);
  const std::size_t bytes = pictures.size() / recipes.size();
  TrackReader::Scratch scratch;
  const auto read = [&](const std::unique_ptr<const TrackReader>& reader) {
    std::vector<float> values(reader ? reader->track().view_values() * recipes.size() : 0);
    if (reader) reader->read(key, scratch, values);
    return values;
  };
  const std::vector<float> logits = read(shown.logits), attention = read(shown.attention);
  const auto name = [&](std::uint32_t label) {
    return label == kNoLabel ? std::string("no label") : cache.index().classes[label];
  };
  std::vector<SheetView> views;
  for (std::size_t i = first; i < end; ++i) {
    const Recipe& recipe = recipes[i];
    SheetView view;
    view.picture = Image(size, size);
    std::copy_n(pictures.begin() + static_cast<std::ptrdiff_t>(i * bytes), bytes, view.picture.rgb.begin());
    view.lines = {name(recipe.label), mix_words(recipe)};
    std::vector<std::uint32_t> labels{recipe.label};
    if (recipe.mix != Mix::kNone) {
      labels.push_back(recipes[recipe.partner].label);
      view.lines.push_back("with " + name(labels[1]));
    }
    if (shown.attention) {
      const TrackInfo& track = shown.attention->track();
      view.attention =
          mean_over_heads(std::span(attention).subspan(i * track.view_values(), track.view_values()), track.shape[0]);
      view.grid_height = static_cast<int>(track.shape[1]), view.grid_width = static_cast<int>(track.shape[2]);
    }
    if (shown.logits) {
      const std::size_t count = shown.logits->track().view_values();
      std::vector<std::uint32_t> right;
      for (const std::uint32_t label : labels)
        if (label < classes.of_label.size())
          right.insert(right.end(), classes.of_label[label].begin(), classes.of_label[label].end());
      view.guesses = best_guesses(std::span(logits).subspan(i * count, count), classes.names, right, kGuesses);
    }
    views.push_back(std::move(view));
  }
  return views;
}

int show(const ShowRequest& request) {
  const Cache cache(request.directory);
  const PlanOptions& options = cache.plan().options();
  const std::uint64_t a_pass = cache.plan().layout().views_per_pass();
  if (request.count > a_pass || request.first > a_pass - request.count)
    fail("--first ", request.first, " --count ", request.count, ": a pass has ", a_pass, " views, from 0");
  const auto first_group = static_cast<std::uint32_t>(request.first / options.group),
             last_group = static_cast<std::uint32_t>((request.first + request.count - 1) / options.group);
  for (const std::uint32_t group : {first_group, last_group})
    if (!has(cache.recipe_directory(), cache.plan(), request.pass, group))
      fail(request.directory, ": has no recipes for pass ", request.pass, ", group ", group,
           "; its complete passes are ", range_words(cache.recipe_passes()));
  const Shown shown = choose(cache, request, first_group);
  const ClassNames classes = class_names(cache, request, shown);
  const ImageFolders folders{request.images, request.unlabelled};
  const ViewMaker maker(folders, cache.index_ptr(), options.image_size);
  const LostPictures lost(folders, cache.index_ptr(), read_left_out(cache.directory() / kLeftOutFile));
  const int size = request.size > 0 ? request.size : static_cast<int>(options.image_size);
  std::vector<SheetView> views;
  while (views.size() < request.count) {
    const std::uint64_t place = request.first + views.size();
    const std::size_t in_group = place % options.group,
                      end = std::min<std::size_t>(options.group, in_group + request.count - views.size());
    const auto group = static_cast<std::uint32_t>(place / options.group);
    for (SheetView& view : make_views(cache, maker, lost, shown, classes, {request.pass, group}, in_group, end, size))
      views.push_back(std::move(view));
  }
  std::string title = text("plan ", cache.plan().hash().substr(0, 8), ", pass ", request.pass, ", views ",
                           request.first, " to ", request.first + request.count - 1);
  if (shown.logits) title += ", " + shown.logits->track().directory();
  if (shown.attention) title += ", " + shown.attention->track().directory();
  const Image sheet = draw_sheet(title, views);
  const std::string about = text(sheet.width, " x ", sheet.height, " pixels, ", views.size(), " views");
  if (request.dry_run) {
    print_would_write(request.out, about);
    return 0;
  }
  const std::vector<std::byte> png = encode_png(sheet);
  publish(request.out, std::string_view(reinterpret_cast<const char*>(png.data()), png.size()));
  std::cout << request.out << ": " << about << '\n';
  if (shown.logits) std::cout << "names of the teacher's classes: " << classes.whence << '\n';
  return 0;
}

}  // namespace

void add_show(CommandLine& line, Body& chosen) {
  const auto request = std::make_shared<ShowRequest>();
  CommandLine& command = line.add_subcommand(
      "show", "draws a contact sheet: views as a student sees them, with the teacher's attention and predictions");
  command.add_option("DIR", request->directory, "the cache's directory").required();
  command.add_option("--out", request->out, "the PNG to write").required();
  command.add_option("--images", request->images, "the folder of images that the cache was made from").required();
  command.add_option("--unlabelled", request->unlabelled, "the folder of its additional unlabelled images");
  command.add_option("--pass", request->pass, "which pass").show_default();
  command.add_option("--first", request->first, "first view, counted in the pass").show_default();
  command.add_option("--count", request->count, "how many views").range(1, 400).show_default();
  command
      .add_option("--track", request->tracks,
                  "a track of logits or attention to show (NAME or TEACHER.xxxxxxxx/NAME); repeatable; default: "
                  "the last of each kind")
      .repeatable();
  command.add_option(
      "--class-names", request->class_names,
      "a file with the teacher's class names, one per line, if its classes are not the images' and the cache does "
      "not record them");
  command.add_option("--size", request->size, "pixels of the student's views; 0: the teacher's").range(0, 4096);
  command.add_dry_run(request->dry_run);
  command.footer(
      "Left: the view; right: the class token's attention (mean over heads) over the same picture, bright is high.\n"
      "Bars are the teacher's probabilities at temperature 1, green for a label of the view.\n"
      "Exit codes: 0 the sheet was written, 2 bad input; others as vitrine-cache --help says.");
  command.callback([request, &chosen] { chosen = [request] { return show(*request); }; });
}

}  // namespace vitrine
