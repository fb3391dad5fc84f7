#include "tools/commands/classify/command.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/base/counted.h"
#include "common/base/error.h"
#include "common/base/progress.h"
#include "common/base/stop.h"
#include "common/config/command_line.h"
#include "common/models/device.h"
#include "tools/commands/classify/classifier.h"
#include "tools/commands/classify/explain.h"
#include "tools/commands/classify/pictures.h"
#include "tools/commands/classify/print.h"
#include "tools/commands/export/exported_student.h"

namespace vitrine {
namespace {

struct ClassifyRequest {
  std::string model, device = "cpu", precision, explain, teacher;
  std::vector<std::string> pictures;
  std::size_t top = 5;
  bool json = false, dry_run = false;
};

Classifier classifier_of(const ClassifyRequest& request) {
  const at::Device device = select_device(request.device);
  if (!is_onnx_file(request.model)) return Classifier(read_student(request.model), device, request.precision);
  if (!device.is_cpu() || (!request.precision.empty() && request.precision != "fp32"))
    fail(request.model,
         ": an ONNX file is computed on the CPU in fp32; leave out --device and --precision, or give the run");
  return Classifier(read_exported(request.model));
}

// Returns the number of pictures that could not be read.
std::size_t classify(const ClassifyRequest& request, const StopFlag& stop) {
  Classifier classifier = classifier_of(request);
  const PictureList list = list_pictures(request.pictures);
  for (const LeftOut& entry : list.left_out)
    if (entry.kind != LeftOutKind::kSidecar && entry.kind != LeftOutKind::kHidden) note(entry.id + ": " + entry.reason);
  std::optional<Explainer> explainer;
  if (!request.explain.empty()) explainer.emplace(classifier, request.explain, request.teacher);
  if (request.dry_run) {
    for (std::size_t i = 0; i < list.files.size(); ++i) print_would_write(explainer->file_of(i + 1, list.files[i]));
    return 0;
  }
  if (explainer) explainer->make_directory();
  constexpr std::size_t kBatch = 64;
  std::size_t failed = 0;
  for (std::size_t first = 0; first < list.files.size(); first += kBatch) {
    throw_if_stopped(stop, "between two batches of pictures");
    const auto paths = std::span(list.files).subspan(first, std::min(kBatch, list.files.size() - first));
    const std::vector<ClassifiedPicture> pictures = classifier.classify(paths, request.top);
    std::vector<std::filesystem::path> explanations(pictures.size());
    if (explainer) explanations = explainer->explain(pictures, first + 1);
    for (std::size_t i = 0; i < pictures.size(); ++i) {
      const ClassifiedPicture& picture = pictures[i];
      if (!picture.error.empty()) {
        ++failed;
        note(picture.error);
      }
      if (request.json)
        std::fputs(as_json_line(picture, classifier, explanations[i]).c_str(), stdout);
      else if (picture.error.empty())
        std::fputs(as_line(picture, classifier).c_str(), stdout);
    }
    std::fflush(stdout);
  }
  if (explainer && failed < list.files.size())
    note(text("explanations of ", counted(list.files.size() - failed, "picture"), " are in ", request.explain));
  if (failed > 0) note(text(failed, " of ", counted(list.files.size(), "picture"), " could not be read"));
  return failed;
}

int run(int count, char** arguments) {
  ClassifyRequest request;
  CommandLine line{
      "Says what a student sees in pictures: a line for each with its likeliest classes and probabilities."};
  line.footer(
      "Exit codes: 0 all pictures were classified, 1 some could not be read, 2 bad input; others as vitrine-cache\n"
      "--help says.");
  line.add_option("model", request.model,
                  "a run's directory (its best weights, else its last), a file of weights, or one that vitrine-export "
                  "wrote: safetensors, pth, torchscript or onnx")
      .required();
  line.add_option("pictures", request.pictures, "pictures, and folders with pictures anywhere below them")
      .required()
      .type_name("PICTURE|FOLDER");
  line.add_option("--top", request.top, "so many classes for each picture").range(1, 1 << 24).show_default();
  line.add_flag("--json", request.json, "a JSON object on each line");
  line.add_option("--device", request.device, "cpu, cuda or cuda:N").show_default();
  line.add_option("--precision", request.precision,
                  "fp32, tf32, bf16 or fp16; by default as it was trained, of onnx fp32")
      .one_of({"fp32", "tf32", "bf16", "fp16"});
  const auto explain =
      line.add_option(
              "--explain", request.explain,
              "a folder to write each picture's crop into, as NUMBER-NAME.jpg, with the Grad-CAM of its likeliest "
              "class over it")
          .type_name("DIR");
  line.add_option("--teacher", request.teacher,
                  "with --explain: a ViT's weights; the attention of its last block is drawn to the right")
      .type_name("DIR")
      .needs(explain);
  line.add_dry_run(request.dry_run, "with --explain: check everything and say what would be written").needs(explain);
  if (const auto code = line.parse(count, arguments)) return *code;
  return classify(request, stop_on_signals()) == 0 ? 0 : 1;
}

}  // namespace

int classify_command(int count, char** arguments) {
  return guarded_main("vitrine-classify", [&] { return run(count, arguments); });
}

}  // namespace vitrine
