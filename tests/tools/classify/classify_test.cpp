// vitrine-classify: its pictures, its guesses, its output.
#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <sstream>

#include "common/base/files.h"
#include "common/base/philox.h"
#include "common/eval/grad_cam.h"
#include "common/image/decode.h"
#include "common/image/overlay.h"
#include "common/image/write.h"
#include "tests/support/message.h"
#include "tests/tools/export/random_student.h"
#include "tools/commands/classify/classifier.h"
#include "tools/commands/classify/pictures.h"
#include "tools/commands/export/formats.h"
#include "tools/commands/export/onnx/model.h"
#include "train/evaluation/evaluate.h"
#include "train/run_files/run_files.h"

using namespace vitrine;
using namespace vitrine::testing;

namespace {

// A student and six noisy pictures in two folders.
struct Gallery {
  TemporaryDirectory root;
  std::filesystem::path student = root / "student.safetensors", pictures = root / "pictures";

  Gallery() {
    save_student(student, resnet_record());
    RandomStream draws(1, Purpose::kSample);
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
  save_student(RunFiles(gallery.root / "run").last_weights(), resnet_record());
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

TEST_CASE("an ONNX export says what the student says, whichever input it takes, and explains nothing") {
  const Gallery gallery;
  const StoredStudent student = read_student(gallery.student);
  write_onnx(student, {}, gallery.root / "student.onnx");
  write_onnx(student, {.input = GraphInput::kUint8, .batch = 4}, gallery.root / "bytes.onnx");
  const std::vector<nlohmann::json> expected = gallery.json_of("student.safetensors pictures");
  REQUIRE(expected.size() == 6);
  for (const char* file : {"student.onnx", "bytes.onnx"}) {
    CAPTURE(file);
    const std::vector<nlohmann::json> found = gallery.json_of(text(file, " pictures"));
    REQUIRE(found.size() == expected.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
      const nlohmann::json &one = found[i]["top"][0], &other = expected[i]["top"][0];
      CHECK(one["class"] == other["class"]);
      CHECK(one["probability"].get<double>() == doctest::Approx(other["probability"].get<double>()).epsilon(1e-4));
    }
  }
  for (const auto& [words, sentence] :
       {std::pair{"student.onnx pictures --explain out", "--explain follows gradients"},
        {"student.onnx pictures --precision bf16", "student.onnx: an ONNX file is computed on the CPU in fp32"}}) {
    const CommandResult result = gallery.classify(words);
    CAPTURE(result.output);
    CHECK(result.exit_code == 2);
    CHECK(has(result.output, sentence));
  }
  OnnxModel model = read_onnx(gallery.root / "student.onnx");
  model.metadata["vitrine.quantisation"] = "{}";
  write_onnx(model, gallery.root / "student.onnx");
  CHECK(has(gallery.classify("student.onnx pictures").output, "student.onnx: is in 8 bits"));
  model.metadata.erase("vitrine.quantisation");
  model.nodes.front().inputs.front() = "nothing";
  write_onnx(model, gallery.root / "student.onnx");
  const CommandResult broken = gallery.classify("student.onnx pictures");
  CAPTURE(broken.output);
  CHECK(broken.exit_code == 4);
  CHECK(has(broken.output, "student.onnx: a node of its graph lacks an input"));
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

TEST_CASE("an explanation is the crop with the Grad-CAM of the likeliest class over it") {
  const Gallery gallery;
  const std::vector<nlohmann::json> lines = gallery.json_of("student.safetensors pictures --explain out");
  REQUIRE(lines.size() == 6);
  CHECK(lines[0]["explanation"] == "out/00001-a.jpg");
  CHECK(lines[5]["explanation"] == "out/00006-f.jpg");
  Classifier classifier(read_student(gallery.student), at::kCPU, "");
  const std::filesystem::path picture = gallery.pictures / "right/e.jpg";
  const ClassifiedPicture seen = classifier.classify(std::span(&picture, 1), 1).at(0);
  ResNet resnet(std::dynamic_pointer_cast<ResNetImpl>(classifier.network()->module().shared_from_this()));
  const Image* crop = &seen.crop;
  const at::Tensor map = grad_cam(resnet, classifier.input_of(std::span(&crop, 1)),
                                  at::tensor(std::vector<std::int64_t>{seen.guesses[0].index}, at::kLong));
  const auto count = static_cast<std::size_t>(map.numel());
  const Image expected = overlay(seen.crop, {map.const_data_ptr<float>(), count}, static_cast<int>(map.size(1)),
                                 static_cast<int>(map.size(2)));
  const std::vector<std::byte> jpeg = encode_jpeg(expected, 92);
  CHECK(read_whole(gallery.root / "out/00005-e.jpg") ==
        std::string(reinterpret_cast<const char*>(jpeg.data()), jpeg.size()));
}

TEST_CASE("with a teacher its attention is drawn to the right of the student's map") {
  const Gallery gallery;
  at::manual_seed(5);
  VitOptions sizes;
  sizes.arch = "", sizes.image_size = 48, sizes.patch = 8, sizes.dim = 64, sizes.depth = 2, sizes.heads = 1;
  sizes.classes = 3;
  save_safetensors(gallery.root / "teacher.safetensors", state_dict(*Vit(sizes)));
  const std::string words = "student.safetensors pictures/left/a.jpg --explain ";
  CHECK(gallery.classify(words + "alone").exit_code == 0);
  const CommandResult both = gallery.classify(words + "both --teacher teacher.safetensors");
  CAPTURE(both.output);
  REQUIRE(both.exit_code == 0);
  const auto image = [&](const char* folder) {
    const std::string bytes = read_whole(gallery.root / folder / "00001-a.jpg");
    return decode_image(std::as_bytes(std::span(bytes)), folder);
  };
  const Image alone = image("alone"), joined = image("both");
  CHECK(alone.width == 32);
  REQUIRE(joined.width == 64);
  REQUIRE(joined.height == 32);
  long left = 0, right = 0;
  for (int y = 0; y < 32; ++y)
    for (int x = 0; x < 32 * 3; ++x) {
      left += std::abs(joined.row(y)[x] - alone.row(y)[x]);
      right += std::abs(joined.row(y)[x + 32 * 3] - alone.row(y)[x]);
    }
  CHECK(left < 32 * 32 * 3 * 4);  // JPEG's loss, another at the border
  CHECK(right > 4 * left);
}

TEST_CASE("--dry-run names the explanations, and writes and classifies nothing") {
  const Gallery gallery;
  const CommandResult result = gallery.classify("student.safetensors pictures/left --explain out --dry-run");
  CAPTURE(result.output);
  CHECK(result.exit_code == 0);
  CHECK(result.output == "would write out/00001-a.jpg\nwould write out/00002-b.jpg\nwould write out/00003-c.jpg\n");
  CHECK_FALSE(std::filesystem::exists(gallery.root / "out"));
  CHECK(gallery.classify("student.safetensors pictures/left --dry-run").exit_code == 2);  // it writes nothing anyway
}

TEST_CASE("only a ResNet is explained, and a folder that cannot be made is refused before the first line") {
  const Gallery gallery;
  save_student(gallery.root / "vit.safetensors", vit_record());
  CHECK(gallery.classify("vit.safetensors pictures").exit_code == 0);
  for (const auto& [words, sentence] :
       {std::pair{"vit.safetensors pictures --explain out", "this student is a ViT"},
        {"student.safetensors pictures --explain student.safetensors/out", "student.safetensors"},
        {"student.safetensors pictures --teacher vit.safetensors", "--explain"}}) {
    CAPTURE(words);
    const CommandResult result = gallery.classify(words);
    CAPTURE(result.output);
    CHECK(result.exit_code == 2);
    CHECK(has(result.output, sentence));
    CHECK(std::ranges::count(result.output, '\n') == 1);
  }
  CHECK_FALSE(std::filesystem::exists(gallery.root / "out"));
}

TEST_CASE("a student whose logits are not finite gives no answer, whatever computes them") {
  const Gallery gallery;
  for (const auto& [name, value] : {std::pair{"bn1.running_var", -1.0}, {"fc.weight", double{NAN}}}) {
    Tensors weights = read_student(gallery.student).weights;
    weights.at(name) = weights.at(name).clone();
    weights.at(name).view({-1})[0] = value;
    save_safetensors(gallery.root / "bad.safetensors", weights, resnet_record().metadata());
    for (const char* how : {"", " --precision bf16", " --json"}) {
      const CommandResult result = gallery.classify(text("bad.safetensors pictures", how));
      CAPTURE(result.output);
      CHECK(result.exit_code == 2);
      CHECK(result.output.starts_with("vitrine-classify: bad.safetensors: "));
      CHECK(has(result.output, "not finite"));
      CHECK(std::ranges::count(result.output, '\n') == 1);
    }
  }
}

TEST_CASE("bad input gives one sentence and exit code 2") {
  const Gallery gallery;
  std::filesystem::create_directory(gallery.root / "empty");
  save_safetensors(gallery.root / "plain.safetensors", random_weights(resnet_record()));
  write_whole(gallery.root / "student.onnx", "\x08\x08\x12\x07vitrine");
  const std::pair<const char*, const char*> wrong[] = {{"student.safetensors", "pictures is required"},
                                                       {"student.safetensors absent.jpg", "absent.jpg: does not exist"},
                                                       {"student.safetensors empty", "empty: has no pictures"},
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
