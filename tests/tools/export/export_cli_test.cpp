// vitrine-export's command line: destinations and bad input.
#include <ATen/ATen.h>

#include <sys/stat.h>

#include <algorithm>

#include "tests/support/message.h"
#include "tests/tools/export/random_student.h"
#include "train/run_files/run_files.h"

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
  write_whole(shell.root / "earlier/student-timm/pytorch_model.bin", "weights");
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
      {"weights.safetensors --format safetensors --names timm -o earlier",
       "pytorch_model.bin: is of an earlier export, and timm may open it instead; remove it, or give --format"},
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

TEST_CASE("a file that cannot be written whole gives one sentence that names it, and leaves nothing behind") {
  const Shell shell;
  for (const char* format : {"safetensors", "pth", "onnx", "torchscript"})
    for (const char* blocks : {"0", "1", "40"}) {  // of 512 bytes; its signal would kill the process
      CAPTURE(format);
      CAPTURE(blocks);
      const CommandResult result =
          run(text("trap '' XFSZ; ulimit -f ", blocks, "; cd '", shell.root.path().string(), "' && '",
                   executable("vitrine-export"), "' weights.safetensors -o out/made --format ", format));
      CAPTURE(result.output);
      CHECK(result.exit_code == 3);
      CHECK(result.output ==
            "vitrine-export: out/made: cannot be written (File too large); make room on its disk, or "
            "give a writable folder\n");
      CHECK(std::filesystem::is_empty(shell.root / "out"));
    }
}

TEST_CASE("what is there and is not a file is never replaced by one") {
  const Shell shell;
  REQUIRE(::mkfifo((shell.root / "pipe").c_str(), 0600) == 0);
  std::filesystem::create_symlink("pipe", shell.root / "link");
  for (const char* name : {"pipe", "link"}) {
    const CommandResult result = shell(text("weights.safetensors --format onnx -o ", name));
    CAPTURE(result.output);
    CHECK(result.exit_code == 2);
    CHECK(has(result.output, text(name, ": is not a regular file")));
    CHECK(std::filesystem::is_fifo(shell.root / name));
  }
}

TEST_CASE("--dry-run names the files, refuses what an export would, and writes nothing") {
  const Shell shell;
  const CommandResult would = shell("weights.safetensors --format onnx,pth --dry-run");
  CAPTURE(would.output);
  CHECK(would.exit_code == 0);
  CHECK(has(would.output, "would write student.onnx: onnx\nwould write student.pth: pth\n"));
  CHECK_FALSE(shell.there("student.onnx"));
  CHECK_FALSE(shell.there("student.pth"));
  WeightsRecord published = resnet_record();
  published.model.width = 64;
  save_student(shell.root / "published.safetensors", published);
  const CommandResult timm = shell("published.safetensors --format safetensors,pth --names timm --dry-run");
  CAPTURE(timm.output);
  CHECK(timm.exit_code == 0);
  CHECK(has(timm.output, "would write student-timm/config.json: timm's configuration\n"));
  CHECK(std::ranges::count(timm.output, '\n') == 3);
  CHECK_FALSE(shell.there("student-timm"));
  const CommandResult refused = shell("weights.safetensors --format safetensors -o weights.safetensors --dry-run");
  CHECK(refused.exit_code == 2);
  CHECK(has(refused.output, "is the file to export"));
}

TEST_CASE("help fits on a screen") {
  const CommandResult help = run(executable("vitrine-export") + " --help");
  CHECK(help.exit_code == 0);
  CHECK(std::ranges::count(help.output, '\n') <= 40);
}
