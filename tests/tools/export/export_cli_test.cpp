// vitrine-export's command line: destinations and bad input.
#include <ATen/ATen.h>

#include <algorithm>

#include "tests/support/message.h"
#include "tests/tools/export/random_student.h"
#include "train/run/run_files.h"

using namespace vitrine;
using namespace vitrine::testing;

namespace {

struct Shell {
  TemporaryDirectory root;
  std::filesystem::path weights = root / "weights.safetensors";

  Shell() { save_student(weights, resnet_record()); }
  CommandResult operator()(const std::string& words) const {
    return run("cd '" + root.path().string() + "' && '" + executable("vitrine-export") + "' " + words);
  }
  bool there(const std::string& name) const { return std::filesystem::exists(root / name); }
};

}  // namespace

TEST_CASE("files go beside the weights, to the named file, or into the named directory") {
  const Shell shell;
  const CommandResult beside = shell("weights.safetensors --format onnx,pth --format torchscript");
  CAPTURE(beside.output);
  CHECK(beside.exit_code == 0);
  for (const char* name : {"student.onnx", "student.pth", "student.torchscript.pt"}) {
    CHECK(shell.there(name));
    CHECK(has(beside.output, std::string(name) + ": "));
  }
  CHECK(shell("weights.safetensors --format onnx -o new/net.onnx").exit_code == 0);
  CHECK(shell.there("new/net.onnx"));
  CHECK(shell("weights.safetensors --format safetensors -o new").exit_code == 0);
  CHECK(shell.there("new/student.safetensors"));
}

TEST_CASE("a run's files go to its directory of exported weights") {
  const Shell shell;
  save_student(RunFiles(shell.root / "run").last_weights(), resnet_record());
  CHECK(shell("run --format onnx").exit_code == 0);
  CHECK(shell.there("run/exported/student.onnx"));
}

TEST_CASE("bad input gives one sentence and exit code 2, and writes nothing") {
  const Shell shell;
  write_whole(shell.root / "text.onnx", "no weights");
  const std::pair<const char*, const char*> wrong[] = {
      {"weights.safetensors", "--format is required"},
      {"weights.safetensors --format tflite", "tflite"},
      {"weights.safetensors --format onnx --opset 12", "opset"},
      {"weights.safetensors --format onnx --batch -1", "batch"},
      {"weights.safetensors --format onnx --weights best", "is not a run's directory"},
      {"weights.safetensors --format onnx --weights median", "median"},
      {"weights.safetensors --format onnx,pth -o one", "names one file"},
      {"weights.safetensors --format safetensors -o weights.safetensors", "is the file to export"},
      {"weights.safetensors --format safetensors --names timm", "has width 8"},
      {"weights.safetensors --format pth --input uint8", "--input is for onnx and torchscript"},
      {"weights.safetensors --format torchscript,pth --opset 18", "--opset is for onnx"},
      {"weights.safetensors --format onnx --names timm", "--names is for safetensors and pth"},
      {"text.onnx --format onnx", "text.onnx: "},
      {"absent --format onnx", "absent"},
      {". --format onnx", "holds none of"},
      {"'' --format onnx", ""}};
  for (const auto& [words, sentence] : wrong) {
    CAPTURE(words);
    const CommandResult result = shell(words);
    CAPTURE(result.output);
    CHECK(result.exit_code == 2);
    CHECK(result.output.starts_with("vitrine-export: "));
    CHECK(has(result.output, sentence));
    CHECK(std::ranges::count(result.output, '\n') == 1);
  }
  for (const char* name : {"student.onnx", "student.pth", "one", "student-timm", "exported"})
    CHECK_FALSE(shell.there(name));
}

TEST_CASE("help fits on a screen") {
  const CommandResult help = run(executable("vitrine-export") + " --help");
  CHECK(help.exit_code == 0);
  CHECK(std::ranges::count(help.output, '\n') <= 40);
}
