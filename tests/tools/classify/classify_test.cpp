// vitrine-classify: its pictures, its guesses, its output.
#include <torch/torch.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "common/base/files.h"
#include "common/base/philox.h"
#include "common/image/write.h"
#include "tests/support/message.h"
#include "tests/tools/export/random_student.h"
#include "tools/commands/classify/pictures.h"
#include "tools/commands/export/formats.h"
#include "train/evaluation/evaluate.h"

using namespace vitrine;
using namespace vitrine::testing;

namespace {

// A student and six noisy pictures in two folders.
struct Gallery {
  TemporaryDirectory root;
  std::filesystem::path student = root / "student.safetensors", pictures = root / "pictures";

  Gallery() {
    save_student(student, resnet_record());
    Stream draws(1, Purpose::kSample);
    for (const char* name : {"left/a.jpg", "left/b.jpg", "left/c.png", "right/d.jpg", "right/e.jpg", "right/f.jpg"}) {
      Image image(40 + static_cast<int>(draws.below(30)), 40 + static_cast<int>(draws.below(30)));
      for (auto& value : image.rgb) value = static_cast<std::uint8_t>(draws.bits());
      const std::vector<std::byte> bytes =
          std::string(name).ends_with("png") ? encode_png(image) : encode_jpeg(image, 90);
      write_whole(pictures / name, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    }
  }
  CommandResult classify(const std::string& words) const {
    return run("cd '" + root.path().string() + "' && '" + executable("vitrine-classify") + "' " + words);
  }
  std::vector<nlohmann::json> json_of(const std::string& words) const {
    std::istringstream lines(run("( cd '" + root.path().string() + "' && '" + executable("vitrine-classify") + "' " +
                                 words + " --json 2>/dev/null )")
                                 .output);
    std::vector<nlohmann::json> out;
    for (std::string line; std::getline(lines, line);) out.push_back(nlohmann::json::parse(line));
    return out;
  }
};

}  // namespace

TEST_CASE("probabilities are those of an evaluation's logits on the same pictures") {
  const Gallery gallery;
  const StoredStudent student = read_student(gallery.student);
  Network network = network_of(student, at::kCPU);
  EvaluationOptions options;
  options.size = 32;
  const Evaluation evaluation(ImageFolders(gallery.pictures, {}, Labels::kNone), options);
  std::vector<std::vector<float>> expected;
  evaluation.visit(network, at::kCPU, [&](const at::Tensor& logits, const at::Tensor&, std::span<const std::uint32_t>) {
    for (const at::Tensor& row : at::softmax(logits, 1).unbind())
      expected.emplace_back(row.const_data_ptr<float>(), row.const_data_ptr<float>() + row.numel());
  });
  const std::vector<nlohmann::json> lines = gallery.json_of("student.safetensors pictures --top 9");
  REQUIRE(lines.size() == 6);
  REQUIRE(expected.size() == 6);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    CHECK(lines[i]["picture"] == "pictures/" + evaluation.index().images[i].id);
    REQUIRE(lines[i]["top"].size() == 3);
    double last = 1;
    for (const auto& guess : lines[i]["top"]) {
      const auto index = guess["index"].get<std::size_t>();
      CHECK(guess["class"] == resnet_record().classes[index]);
      CHECK(guess["probability"].get<double>() == doctest::Approx(expected[i][index]).epsilon(1e-5));
      CHECK(guess["probability"].get<double>() <= last);
      last = guess["probability"].get<double>();
    }
  }
}

TEST_CASE("exported weights, TorchScript too, and a run give the same lines as the weights") {
  const Gallery gallery;
  const StoredStudent student = read_student(gallery.student);
  write_pth(student, gallery.root / "student.pth");
  write_torchscript(student, {}, gallery.root / "student.pt");
  std::filesystem::create_directory(gallery.root / "run");
  std::filesystem::copy(gallery.student, gallery.root / "run" / "final.safetensors");
  const CommandResult expected = gallery.classify("student.safetensors pictures");
  CHECK(expected.exit_code == 0);
  CHECK(std::ranges::count(expected.output, '\n') == 6);
  for (const char* model : {"student.pth", "student.pt", "run"}) {
    CAPTURE(model);
    CHECK(gallery.classify(std::string(model) + " pictures").output == expected.output);
  }
}

TEST_CASE("a line has the path and the likeliest classes with their probabilities, separated by tabs") {
  const Gallery gallery;
  const std::string line = gallery.classify("student.safetensors pictures/left/a.jpg --top 2").output;
  CHECK(line.starts_with("pictures/left/a.jpg\t"));
  CHECK(std::ranges::count(line, '\t') == 2);
  CHECK(std::ranges::count(line, '%') == 2);
  const auto top = gallery.json_of("student.safetensors pictures/left/a.jpg --top 2").at(0)["top"];
  char first[64];
  std::snprintf(first, sizeof first, "\t%s %.2f %%\t", top[0]["class"].get<std::string>().c_str(),
                100 * top[0]["probability"].get<double>());
  CHECK(has(line, first));
}

TEST_CASE("a picture's guesses do not depend on the pictures beside it") {
  const Gallery gallery;
  const auto all = gallery.json_of("student.safetensors pictures");
  const auto one = gallery.json_of("student.safetensors pictures/right/e.jpg");
  REQUIRE(one.size() == 1);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(all.at(4)["top"][i]["index"] == one[0]["top"][i]["index"]);
    CHECK(all[4]["top"][i]["probability"].get<double>() ==
          doctest::Approx(one[0]["top"][i]["probability"].get<double>()).epsilon(1e-4));
  }
}

TEST_CASE("unreadable pictures are named and counted, the others classified, and the exit code is 1") {
  const Gallery gallery;
  const std::string jpeg = read_whole(gallery.pictures / "left/a.jpg");
  write_whole(gallery.pictures / "left/cut.jpg", jpeg.substr(0, 200));
  write_whole(gallery.root / "notes.txt", "no picture");
  const CommandResult result = gallery.classify("student.safetensors pictures notes.txt");
  CAPTURE(result.output);
  CHECK(result.exit_code == 1);
  CHECK(has(result.output, "pictures/left/cut.jpg"));
  CHECK(has(result.output, "notes.txt"));
  CHECK(has(result.output, "2 of 8 pictures could not be read"));
  CHECK(std::ranges::count(result.output, '\t') == 6 * 3);
  const auto lines = gallery.json_of("student.safetensors pictures notes.txt");
  REQUIRE(lines.size() == 8);
  CHECK(std::ranges::count_if(lines, [](const auto& line) { return line.contains("error"); }) == 2);
}

TEST_CASE("of a folder the pictures are taken, and other files are named or known sidecars") {
  const Gallery gallery;
  write_whole(gallery.pictures / "model.bin", "no picture");
  write_whole(gallery.pictures / "left/a.json", "{}");
  write_whole(gallery.pictures / ".hidden.jpg", "no picture");
  const PictureList list = list_pictures({gallery.pictures.string()});
  CHECK(list.files.size() == 6);
  CHECK(list.left_out.size() == 3);
  const CommandResult result = gallery.classify("student.safetensors pictures");
  CHECK(result.exit_code == 0);
  CHECK(has(result.output, "pictures/model.bin: is no JPEG, PNG or WebP file"));
  CHECK_FALSE(has(result.output, "a.json"));
}

TEST_CASE("bad input gives one sentence and exit code 2") {
  const Gallery gallery;
  std::filesystem::create_directory(gallery.root / "empty");
  save_safetensors(gallery.root / "plain.safetensors", random_weights(resnet_record()));
  write_whole(gallery.root / "student.onnx", "\x08\x08\x12\x07vitrine");
  const std::pair<const char*, const char*> wrong[] = {{"student.safetensors", "pictures is required"},
                                                       {"student.safetensors absent.jpg", "absent.jpg: does not exist"},
                                                       {"student.safetensors empty", "empty: no picture is there"},
                                                       {"student.safetensors ''", "does not exist"},
                                                       {"student.safetensors pictures --top 0", "top"},
                                                       {"student.safetensors pictures --precision int4", "precision"},
                                                       {"student.safetensors pictures --device tpu", "tpu"},
                                                       {"plain.safetensors pictures", "does not record which model"},
                                                       {"absent pictures", "absent"},
                                                       {"empty pictures", "empty"},
                                                       {"student.onnx pictures", "student.onnx"}};
  for (const auto& [words, sentence] : wrong) {
    CAPTURE(words);
    const CommandResult result = gallery.classify(words);
    CAPTURE(result.output);
    CHECK(result.exit_code == 2);
    CHECK(result.output.starts_with("vitrine-classify: "));
    CHECK(has(result.output, sentence));
    CHECK(std::ranges::count(result.output, '\n') == 1);
  }
}
