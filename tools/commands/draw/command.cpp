#include "tools/commands/draw/command.h"

#include <tbb/parallel_for.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <opencv2/core.hpp>
#include <string>
#include <vector>

#include "common/base/counted.h"
#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/progress.h"
#include "common/config/command_line.h"
#include "common/image/write.h"
#include "tools/commands/draw/drawing.h"

namespace vitrine {
namespace {

namespace fs = std::filesystem;

struct Split {
  fs::path folder;
  std::uint64_t first, count;  // numbers of its pictures
};

struct DrawRequest {
  std::string out;
  std::uint64_t images = 0, seed = 0;
  int size = 96, classes = 16, quality = 93;
  bool dry_run = false;
  std::vector<std::string> splits;  // "name=count"
};

// Numbers continue from split to split, so that no picture is in two of them.
std::vector<Split> plan(const DrawRequest& request) {
  if (request.splits.empty()) return {{request.out, 0, request.images}};
  std::vector<Split> splits;
  std::uint64_t next = 0;
  for (const std::string& text : request.splits) {
    const std::size_t at = text.find('=');
    const std::string name = text.substr(0, at), digits = at == std::string::npos ? "" : text.substr(at + 1);
    if (name.empty() || name.find('/') != std::string::npos || name.starts_with('.') || digits.empty() ||
        digits.size() > 9 || digits.find_first_not_of("0123456789") != std::string::npos || std::stoull(digits) == 0)
      fail("--split ", text, " is invalid; expected a folder's name and a number of images, as in --split val=1000");
    splits.push_back({fs::path(request.out) / name, next, std::stoull(digits)});
    next += splits.back().count;
  }
  return splits;
}

void save(const fs::path& path, const std::vector<std::byte>& bytes) {
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  file.close();
  if (!file) fail_system(errno, path.string(), "cannot be written", "make room on its disk, or give a writable folder");
}

void draw(const Split& split, const DrawingOptions& options, int quality) {
  const std::vector<std::string> classes = drawing_classes(options);
  for (const std::string& name : classes) make_directories(split.folder / name);
  Progress progress("drawing " + split.folder.string(), "images", split.count);
  tbb::parallel_for(split.first, split.first + split.count, [&](std::uint64_t number) {
    const auto label = static_cast<std::size_t>(drawing_label(options, number));
    std::string file = std::to_string(number);
    file.insert(0, file.size() < 6 ? 6 - file.size() : 0, '0');
    save(split.folder / classes[label] / (file + ".jpg"), encode_jpeg(draw_picture(options, number), quality));
    progress.advance(1);
  });
  progress.finish();
}

int run(int count, char** arguments) {
  DrawRequest request;
  CommandLine line{
      "Draws the demo's data set: a folder of JPEGs for each class. The same numbers give the same pictures."};
  line.add_option("out", request.out, "folder to create; must be empty or absent").required();
  const auto images = line.add_option("--images", request.images, "number of images, directly in the folder")
                          .range(std::uint64_t{1}, std::uint64_t{999999999});
  line.add_option("--split", request.splits, "name=count: that many images in a subfolder of that name; repeatable")
      .excludes(images);
  line.add_option("--size", request.size, "sides are drawn around this many pixels, from 5/6 to 4/3 of it")
      .range(24, 4096)
      .show_default();
  line.add_option("--seed", request.seed, "another seed draws another data set").show_default();
  line.add_option("--classes", request.classes,
                  "pairs of a species of the larger object and one of the smaller; at most 36 with shapes and textures "
                  "of their own")
      .range(2, 225)
      .show_default();
  line.add_option("--quality", request.quality, "of the JPEGs; 93 makes them about 5 KB at the default size")
      .range(1, 100)
      .show_default();
  line.add_dry_run(request.dry_run);
  if (const auto code = line.parse(count, arguments)) return *code;
  if (request.images == 0 && request.splits.empty())
    fail("the number of images is missing; give --images COUNT, or --split NAME=COUNT once or more");

  if (request.out.empty()) fail("the folder's name is empty; give one");
  if (path_exists(request.out) && !list_directory(request.out).empty())
    fail("the folder ", request.out,
         " is not empty, and old images would mix with new ones; remove it or give another");
  const DrawingOptions options{.size = request.size,
                               .species = std::max(2, static_cast<int>(std::ceil(std::sqrt(request.classes)))),
                               .classes = request.classes,
                               .seed = request.seed};
  if (request.dry_run) {
    for (const Split& split : plan(request))
      print_would_write(split.folder, text(counted(split.count, "image"), " in ", request.classes, " classes"));
    return 0;
  }
  cv::setNumThreads(1);  // pictures are drawn in parallel
  for (const Split& split : plan(request)) draw(split, options, request.quality);
  return 0;
}

}  // namespace

int draw_command(int count, char** arguments) {
  return guarded_main("vitrine-draw", [&] { return run(count, arguments); });
}

}  // namespace vitrine
