// vitrine-cache show: a contact sheet.
#include <CLI/CLI.hpp>
#include <fstream>
#include <iostream>
#include <memory>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/cache/cache.h"
#include "common/image/views.h"
#include "common/image/write.h"
#include "common/inspect/sheet.h"
#include "tools/commands/cache/command.h"

namespace vitrine {
namespace {

constexpr std::size_t kGuesses = 3;

struct Request {
  std::string directory, out, images, unlabelled;
  std::vector<std::string> tracks;
  std::uint32_t pass = 0, count = 12;
  std::uint64_t first = 0;
  int size = 0;
};

// The tracks that are shown: those named, else the last of a kind that has the pass.
struct Shown {
  std::unique_ptr<const TrackReader> logits, attention;
};

bool has(const TrackReader& reader, const Plan& plan, std::uint32_t pass, std::uint32_t group) {
  return reader.shelf().holds(std::uint64_t{pass} * plan.shards_per_pass() + group / plan.options().shard_groups);
}

Shown choose(const Cache& cache, const Request& request, std::uint32_t group) {
  Shown shown;
  const auto take = [&](const TrackInfo& track, bool named) {
    if (track.kind == "features") {
      if (named) fail("--track ", track.name(), ": a sheet shows logits and attention; name one of those");
      return;
    }
    auto reader = std::make_unique<const TrackReader>(cache, track);
    const bool there = has(*reader, cache.plan(), request.pass, group);
    if (named && !there)
      fail(cache.directory().string(), ": ", track.directory(), " has no shard for pass ", request.pass, ", group ",
           group, "; vitrine-cache info lists its passes");
    if (there) (track.kind == "logits" ? shown.logits : shown.attention) = std::move(reader);
  };
  if (request.tracks.empty())
    for (const TrackInfo& track : cache.tracks()) take(track, false);
  for (const std::string& word : request.tracks) {
    const std::size_t slash = word.find('/');
    take(slash == std::string::npos ? cache.track(word) : cache.track(word.substr(slash + 1), word.substr(0, slash)),
         true);
  }
  return shown;
}

// The views of one group that the sheet wants: positions [first, end) in the group.
std::vector<SheetView> make_views(const Cache& cache, const ViewMaker& maker, const Shown& shown, GroupKey key,
                                  std::size_t first, std::size_t end, int size) {
  const std::vector<Recipe> recipes = cache.recipes(key);
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
      const std::size_t classes = shown.logits->track().view_values();
      // A teacher of another number of classes does not name them as the images do.
      const bool same = classes == cache.index().classes.size();
      view.guesses = best_guesses(std::span(logits).subspan(i * classes, classes),
                                  same ? cache.index().classes : std::vector<std::string>(),
                                  same ? labels : std::vector<std::uint32_t>(), kGuesses);
    }
    views.push_back(std::move(view));
  }
  return views;
}

int show(const Request& request) {
  const Cache cache(request.directory);
  const PlanOptions& options = cache.plan().options();
  const std::uint64_t a_pass = std::uint64_t{cache.plan().groups_per_pass()} * options.group;
  if (request.first + request.count > a_pass)
    fail("--first ", request.first, " --count ", request.count, ": a pass has ", a_pass, " views, from 0");
  const auto first_group = static_cast<std::uint32_t>(request.first / options.group);
  const Shown shown = choose(cache, request, first_group);
  const ViewMaker maker({request.images, request.unlabelled}, cache.index_ptr(), options.image_size);
  const int size = request.size > 0 ? request.size : static_cast<int>(options.image_size);
  std::vector<SheetView> views;
  while (views.size() < request.count) {
    const std::uint64_t place = request.first + views.size();
    const std::size_t in_group = place % options.group,
                      end = std::min<std::size_t>(options.group, in_group + request.count - views.size());
    const auto group = static_cast<std::uint32_t>(place / options.group);
    for (SheetView& view : make_views(cache, maker, shown, {request.pass, group}, in_group, end, size))
      views.push_back(std::move(view));
  }
  std::string title = text("plan ", cache.plan().hash().substr(0, 8), ", pass ", request.pass, ", views ",
                           request.first, " to ", request.first + request.count - 1);
  if (shown.logits) title += ", " + shown.logits->track().directory();
  if (shown.attention) title += ", " + shown.attention->track().directory();
  const Image sheet = draw_sheet(title, views);
  const std::vector<std::byte> png = encode_png(sheet);
  publish(request.out, std::string_view(reinterpret_cast<const char*>(png.data()), png.size()));
  std::cout << request.out << ": " << sheet.width << " x " << sheet.height << " pixels, " << views.size() << " views\n";
  return 0;
}

}  // namespace

void add_show(CLI::App& app, Body& chosen) {
  const auto request = std::make_shared<Request>();
  CLI::App* command = app.add_subcommand(
      "show",
      "draws a contact sheet: views as a student will see them, attention beside them, the teacher's best guesses");
  command->add_option("DIR", request->directory, "the cache's directory")->required();
  command->add_option("--out", request->out, "the PNG to write")->required();
  command->add_option("--images", request->images, "the folder of images that the cache was made from")->required();
  command->add_option("--unlabelled", request->unlabelled, "the folder of its further images, which have no labels");
  command->add_option("--pass", request->pass, "which pass")->capture_default_str();
  command->add_option("--first", request->first, "first view, counted in the pass")->capture_default_str();
  command->add_option("--count", request->count, "how many views")->check(CLI::Range(1, 400))->capture_default_str();
  command
      ->add_option("--track", request->tracks,
                   "a track of logits or attention to show (NAME or TEACHER.xxxxxxxx/NAME); may be given again; left "
                   "out: the last of each kind")
      ->expected(1)
      ->take_all();
  command->add_option("--size", request->size, "pixels of the student's views; 0: the teacher's")
      ->check(CLI::Range(0, 4096));
  command->footer(
      "Left the view, beside it the class token's attention (mean over heads) over the same picture: bright is much.\n"
      "Bars are the teacher's probabilities at temperature 1, green for a label of the view.\n"
      "Exit codes: 0 the sheet was written, 2 bad input.");
  command->callback([request, &chosen] { chosen = [request] { return show(*request); }; });
}

}  // namespace vitrine
