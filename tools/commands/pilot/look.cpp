#include "tools/commands/pilot/look.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "common/base/counted.h"
#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/local_ranks.h"
#include "common/base/paths.h"
#include "common/base/progress.h"
#include "common/base/screen.h"
#include "common/teacher/teacher.h"
#include "tools/commands/cache/teacher/measure.h"
#include "tools/commands/distil/student_cost.h"
#include "tools/inspect/words.h"

namespace vitrine {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kFewestHeldOut = 10;

// Marks that all links are there.
fs::path drawn_file(const PilotRequest& request) {
  return teaching_folder(request).parent_path() / "drawn.json";
}

std::uint32_t largest_group(const std::vector<PilotTeacher>& teachers) {
  std::uint32_t out = 0;
  for (const PilotTeacher& teacher : teachers) out = std::max(out, teacher.options.plan.group);
  return out;
}

std::uint64_t teaching_wanted(const PilotRequest& request, const std::vector<PilotTeacher>& teachers) {
  return std::uint64_t{request.groups} * largest_group(teachers);
}

PictureShares total_of(const PilotRequest& request, const std::vector<PilotTeacher>& teachers,
                       const PictureDraw& draw) {
  return draw.total(teaching_wanted(request, teachers), request.held_out);
}

void check_enough(const PictureShares& found, const std::vector<PilotTeacher>& teachers) {
  const std::uint32_t group = largest_group(teachers);
  if (found.teaching >= group && found.held_out >= kFewestHeldOut) return;
  fail(teachers.front().options.images, ": has ", human_count(found.teaching), " pictures that could teach and ",
       human_count(found.held_out), " to score students; expected at least ", group, " (a group) and ", kFewestHeldOut,
       "; add pictures");
}

// The values of an option of the students.
std::vector<std::uint32_t> values_of(std::uint32_t TrainOptions::*option, const PilotRequest& request,
                                     const std::vector<PilotTeacher>& teachers) {
  std::set<std::uint32_t> out;
  for (const PilotTeacher& teacher : teachers) out.insert(train_options(request, teacher).*option);
  return {out.begin(), out.end()};
}

}  // namespace

PictureDraw draw_of(const PilotRequest& request, const std::vector<PilotTeacher>& teachers) {
  PictureDraw out(teachers.front().options.folders(), request.seed);
  check_enough(total_of(request, teachers, out), teachers);
  return out;
}

void link_pictures(const PilotRequest& request, const std::vector<PilotTeacher>& teachers, const StopFlag& stop) {
  const fs::path drawn = drawn_file(request);
  if (path_exists(drawn)) return;
  remove_directory(drawn.parent_path());
  const PictureShares found =
      draw_of(request, teachers)
          .link(teaching_folder(request), held_out_folder(request), teaching_wanted(request, teachers),
                request.held_out, teachers.front().options.decoding, stop);
  check_enough(found, teachers);
  publish(drawn, nlohmann::json{{"teaching", found.teaching}, {"held_out", found.held_out}}.dump() + "\n");
}

std::string describe(const PilotRequest& request, const std::vector<PilotTeacher>& teachers, const PictureDraw& draw) {
  const PictureShares total = total_of(request, teachers, draw);
  const std::uint64_t wanted = teaching_wanted(request, teachers);
  const auto fewer = [](std::uint64_t found, std::uint64_t asked) {
    return found < asked ? text("there are not the ", human_count(asked), " asked for") : std::string();
  };
  std::vector<std::vector<std::string>> rows;
  rows.push_back({"pictures", text(human_count(draw.listed()), " in ", counted(draw.classes(), "class", "classes")),
                  teachers.front().options.images});
  rows.push_back({"that teach", human_count(total.teaching), fewer(total.teaching, wanted)});
  rows.push_back({"held out", human_count(total.held_out), fewer(total.held_out, request.held_out)});
  rows.push_back(
      {"a teacher's cache",
       text(human_count(total.teaching * request.passes), " views in ", counted(request.passes, "pass", "passes")),
       request.keep ? "" : "removed once its student is scored"});
  const std::vector<std::uint32_t> sizes = values_of(&TrainOptions::size, request, teachers);
  const std::vector<std::uint32_t> batches = values_of(&TrainOptions::batch, request, teachers);
  const TrainOptions student = train_options(request, teachers.front());
  rows.push_back({"a student", text(student.model.arch, ", width ", student.model.width), ""});
  rows.push_back({"", text(request.epochs, " epochs at size ", range_words(sizes)),
                  sizes.size() > 1 ? "as their teachers' views; --set size=N makes them alike" : ""});
  rows.push_back({"", text("batch ", range_words(batches)),
                  batches.size() > 1 ? "as their teachers' groups; --set batch=N makes them alike" : ""});
  for (const PilotTeacher& teacher : teachers) rows.push_back({teacher.name, teacher.options.teacher.file(), ""});
  return table_words(rows);
}

std::string estimate(const PilotRequest& request, const std::vector<PilotTeacher>& teachers, const PictureDraw& draw,
                     const StopFlag& stop) {
  const PictureShares total = total_of(request, teachers, draw);
  const auto pictures = static_cast<double>(total.teaching), views = pictures * request.passes;
  std::vector<std::vector<std::string>> rows{{"", "cache", "its disk", "student"}};
  double all = 0;
  for (const PilotTeacher& teacher : teachers) {
    throw_if_stopped(stop, "while a teacher was tried");
    note(teacher.name + ": trying teacher and student on this machine");
    const TrainOptions training = train_options(request, teacher);
    ExtractOptions options = teacher.options;
    options.cache = extract_options(request, teacher).cache;
    options.passes = request.passes;
    const Estimate cost = [&] {
      const QuietScreen quiet;
      const Teacher network(options.teacher, options.taps);
      return measure_extraction(options, network, options.workers > 0 ? options.workers : default_threads(),
                                nearest_directory(options.cache));
    }();
    throw_if_stopped(stop, "while a student was tried");
    const double step =
        student_cost(training.model, training.device, training.size > 0 ? training.size : options.plan.image_size,
                     static_cast<std::uint32_t>(draw.classes()), {training.precision})
            .seconds;
    const double extraction = cost.calibration() + views * cost.costs.extraction +
                              static_cast<double>(total.held_out) * (cost.decode + cost.costs.live);
    const double training_time =
        (training.schedule.run_epochs() + 1) * pictures * (step + cost.decode + cost.costs.read);
    all += extraction + training_time;
    rows.push_back(
        {teacher.name, human_time(extraction), human_bytes(cost.bytes_a_view() * views), human_time(training_time)});
  }
  return table_words(rows) + "in total: about " + human_time(all) + "\n";
}

}  // namespace vitrine
