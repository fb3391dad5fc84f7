#include "tools/commands/export/command.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <initializer_list>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "common/base/digits.h"
#include "common/base/error.h"
#include "common/base/progress.h"
#include "common/config/command_line.h"
#include "tools/commands/export/export.h"
#include "tools/commands/export/onnx/model.h"

namespace vitrine {
namespace {

template <class Value>
using Words = std::map<std::string, Value>;

const Words<ExportFormat> kFormats{{"safetensors", ExportFormat::kSafetensors},
                                   {"pth", ExportFormat::kPth},
                                   {"onnx", ExportFormat::kOnnx},
                                   {"torchscript", ExportFormat::kTorchscript}};
const Words<WeightsChoice> kChoices{{"auto", WeightsChoice::kAuto},
                                    {"best", WeightsChoice::kBest},
                                    {"last", WeightsChoice::kLast},
                                    {"raw", WeightsChoice::kRaw}};
const Words<TensorNaming> kNames{{"torchvision", TensorNaming::kTorchvision}, {"timm", TensorNaming::kTimm}};
const Words<GraphInput> kInputs{{"float", GraphInput::kFloat}, {"uint8", GraphInput::kUint8}};

template <class Value>
Value chosen(const Words<Value>& words, const char* option, const std::string& word) {
  if (const auto found = words.find(word); found != words.end()) return found->second;
  std::string known;
  for (const auto& [one, value] : words) known += (known.empty() ? "" : ", ") + one;
  fail(option, " ", word, " is unknown; expected one of ", known);
}

// Refuses an option that none of the formats has.
void check_use(const CommandLine& line, const char* option, const std::vector<ExportFormat>& asked,
               std::initializer_list<ExportFormat> having) {
  if (!line.given(option)) return;
  for (const ExportFormat format : having)
    if (std::ranges::find(asked, format) != asked.end()) return;
  std::string formats;
  for (const ExportFormat format : having) formats += text(formats.empty() ? "" : " and ", name_of(format));
  fail(option, " is for ", formats, "; leave it out, or ask for one of them with --format");
}

int run(int count, char** arguments) {
  ExportRequest request;
  std::vector<std::string> formats;
  std::string weights = "auto", names = "torchvision", input = "float";
  CommandLine line{
      "Exports a student to files that other programs read. Each file is run against the student on random\n"
      "pictures, and is published only if they agree."};
  line.add_option("model", request.model, "a run's directory, or a file of weights that Vitrine wrote").required();
  line.add_option("--format", formats, "safetensors, pth, onnx or torchscript; repeatable")
      .required()
      .type_name("FORMAT")
      .repeatable()
      .comma_separated();
  line.add_option("-o,--out", request.out,
                  "the file, or an existing directory (with --names timm any); by default "
                  "RUN/exported/student.SUFFIX, or beside the file")
      .type_name("FILE");
  line.add_option("--weights", weights,
                  "of a run: best, last, or raw (the last checkpoint's, never averaged); auto: best, else last")
      .type_name("WHICH")
      .show_default();
  line.add_option("--names", names,
                  "of safetensors and pth: torchvision, or timm: the same tensor names, in a folder with timm's "
                  "config.json")
      .type_name("WHOSE")
      .show_default();
  line.add_option("--input", input,
                  "of onnx and torchscript: float, normalised [N, 3, H, W], or uint8, pictures [N, H, W, 3]")
      .type_name("TYPE")
      .show_default();
  line.add_option("--opset", request.graph.opset, "of onnx").range(kMinOpset, kMaxOpset).show_default();
  line.add_option("--batch", request.graph.batch, "of onnx: a fixed number of pictures; 0: any")
      .range(0, 65536)
      .show_default();
  line.add_flag("--dynamic-size", request.graph.dynamic_size, "of onnx: any height and width, not only the student's");
  line.add_dry_run(request.dry_run);
  if (const auto code = line.parse(count, arguments)) return *code;
  for (const std::string& format : formats) request.formats.push_back(chosen(kFormats, "--format", format));
  check_use(line, "--names", request.formats, {ExportFormat::kSafetensors, ExportFormat::kPth});
  check_use(line, "--input", request.formats, {ExportFormat::kOnnx, ExportFormat::kTorchscript});
  for (const char* option : {"--opset", "--batch", "--dynamic-size"})
    check_use(line, option, request.formats, {ExportFormat::kOnnx});
  request.weights = chosen(kChoices, "--weights", weights);
  request.names = chosen(kNames, "--names", names);
  request.graph.input = chosen(kInputs, "--input", input);
  const std::vector<ExportedFile> files = export_student(request);
  if (request.dry_run) {
    std::set<std::filesystem::path> cards;  // two formats may share one
    for (const ExportedFile& file : files) {
      print_would_write(file.path, name_of(file.format));
      if (!file.card.empty() && cards.insert(file.card).second) print_would_write(file.card, "timm's configuration");
    }
    return 0;
  }
  for (const ExportedFile& file : files)
    std::printf("%s: %s, %s; largest difference of a logit %s, limit %s\n", file.path.c_str(), name_of(file.format),
                human_bytes(static_cast<double>(file.bytes)).c_str(), significant(file.agreement.difference, 2).c_str(),
                file.agreement.limit_words().c_str());
  return 0;
}

}  // namespace

int export_command(int count, char** arguments) {
  return guarded_main("vitrine-export", [&] { return run(count, arguments); });
}

}  // namespace vitrine
