// Exported files: what they compute, what they hold, and that none is left behind that does not agree.
#include <ATen/ATen.h>

#include <limits>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/models/weights/weights.h"
#include "tests/support/message.h"
#include "tests/tools/export/random_student.h"
#include "tools/commands/export/export.h"
#include "tools/commands/export/fold.h"
#include "tools/commands/export/onnx/model.h"

using namespace vitrine;
using namespace vitrine::testing;

namespace {

const std::vector<ExportFormat> kAllFormats{ExportFormat::kSafetensors, ExportFormat::kPth, ExportFormat::kOnnx,
                                            ExportFormat::kTorchscript};

struct Exporting {
  TemporaryDirectory root;
  std::filesystem::path out = root / "out";

  explicit Exporting(const WeightsRecord& record = resnet_record()) : weights(save_student(file(), record)) {
    make_directories(out);
  }
  std::filesystem::path file() const { return root / "weights.safetensors"; }
  ExportRequest request(const std::vector<ExportFormat>& formats) const {
    ExportRequest request;
    request.model = file().string();
    request.formats = formats;
    request.out = out.string();
    return request;
  }
  Tensors weights;
};

}  // namespace

TEST_CASE("every format agrees with the student, for blocks of two and of three convolutions") {
  for (const char* arch : {"resnet18", "resnet50"}) {
    CAPTURE(arch);
    const Exporting exporting(resnet_record(arch));
    const std::vector<ExportedFile> files = export_student(exporting.request(kAllFormats));
    REQUIRE(files.size() == kAllFormats.size());
    for (const ExportedFile& file : files) {
      CAPTURE(name_of(file.format));
      CHECK(file.agreement.difference <= file.agreement.limit);
      CHECK(file.bytes == file_bytes(file.path));
    }
    CHECK(files[0].agreement.difference == 0);
    CHECK(files[1].agreement.difference == 0);
    CHECK(list_directory(exporting.out).size() == files.size());
  }
}

TEST_CASE("the limit of a difference is told with what it is of") {
  CHECK(AgreementResult{0, 12, 0.0012}.limit_words() == "0.0012 (0.0001 of the largest logit, 12)");
  CHECK(AgreementResult{0, 0.5, 0.0001}.limit_words() == "0.0001 (absolute: the largest logit is 0.5)");
}

TEST_CASE("safetensors, pth and TorchScript hold the student's tensors bit by bit, and its record") {
  const Exporting exporting;
  for (const ExportedFile& file : export_student(
           exporting.request({ExportFormat::kSafetensors, ExportFormat::kPth, ExportFormat::kTorchscript}))) {
    CAPTURE(name_of(file.format));
    CHECK(same(read_weights(file.path).tensors, exporting.weights));
    const StoredStudent again = read_student(file.path);
    CHECK(same(again.weights, exporting.weights));
    CHECK(again.record.metadata() == resnet_record().metadata());
  }
}

TEST_CASE("a file says how a picture becomes its input, and where it is from") {
  const Exporting exporting;
  ExportRequest request = exporting.request({ExportFormat::kOnnx});
  const auto metadata = [&] { return read_onnx(export_student(request)[0].path).metadata; };
  const std::map<std::string, std::string> found = metadata();
  CHECK(found.at("vitrine.classes") == R"(["ant","bee","cat"])");
  CHECK(
      found.at("vitrine.preprocessing") ==
      R"({"size":32,"resize_shorter_side":35,"crop":"center","interpolation":"bicubic","antialias":true,)"
      R"("colours":"RGB","exif_orientation":"ignore","grey16":"clip","mean":[0.485,0.456,0.406],"std":[0.229,0.224,0.225],)"
      R"("input":"float32 [N, 3, H, W]: (value / 255 - mean) / std"})");
  CHECK(has(found.at("vitrine.origin"), sha256_of_weights(exporting.file())));
  CHECK_FALSE(has(found.at("vitrine.origin"), exporting.root.path().string()));
  request.graph.input = GraphInput::kUint8;
  CHECK(has(metadata().at("vitrine.preprocessing"), "uint8 [N, H, W, 3]"));
}

TEST_CASE("graphs may take bytes, a fixed number of pictures or any size") {
  const Exporting exporting;
  ExportRequest request = exporting.request({ExportFormat::kOnnx, ExportFormat::kTorchscript});
  const auto shape = [&] {
    std::string out;
    for (const OnnxDimension& size : read_onnx(export_student(request)[0].path).input.shape)
      out += std::visit([](const auto& one) { return text(one, ' '); }, size);
    return out;
  };
  CHECK(shape() == "batch 3 32 32 ");
  request.graph.dynamic_size = true;
  CHECK(shape() == "batch 3 height width ");
  request.graph.input = GraphInput::kUint8;
  request.graph.dynamic_size = false;
  request.graph.batch = 4;
  CHECK(shape() == "4 32 32 3 ");
}

TEST_CASE("bytes are normalised by whole numbers and fractions alike") {
  const Exporting exporting;
  StoredStudent student = read_student(exporting.file());
  student.record.mean = {0.5, 0, 1}, student.record.stddev = {1, 0.25, 1e-3};
  const Forward forward =
      write_torchscript(student, {.input = GraphInput::kUint8}, exporting.root / "whole.torchscript.pt");
  CHECK(forward(at::zeros({1, 32, 32, 3}, at::kByte)).sizes() == at::IntArrayRef{1, 3});
}

TEST_CASE("the same student gives the same bytes in every format") {
  const Exporting exporting;
  std::vector<std::string> first;
  for (const ExportedFile& file : export_student(exporting.request(kAllFormats)))
    first.push_back(read_whole(file.path));
  std::size_t i = 0;
  for (const ExportedFile& file : export_student(exporting.request(kAllFormats))) {
    CAPTURE(name_of(file.format));
    CHECK(read_whole(file.path) == first[i++]);
  }
}

TEST_CASE("a folded convolution has the weights of convolution and BatchNorm in FP64, rounded once") {
  const Exporting exporting;
  const StoredStudent student = read_student(exporting.file());
  const OnnxModel model = folded_model(student, {});
  const auto values = [&](const std::string& name) {
    for (const OnnxWeight& weight : model.weights)
      if (weight.name == name) return at::tensor(weight.values).view(weight.shape);
    return at::Tensor();
  };
  const auto wide = [&](const std::string& name) { return student.weights.at(name).to(at::kDouble); };
  const at::Tensor scale =
      wide("layer2.0.downsample.1.weight") / (wide("layer2.0.downsample.1.running_var") + 1e-5).sqrt();
  CHECK(at::equal(values("layer2.0.downsample.0.weight"),
                  (wide("layer2.0.downsample.0.weight") * scale.view({-1, 1, 1, 1})).to(at::kFloat)));
  CHECK(at::equal(
      values("layer2.0.downsample.0.bias"),
      (wide("layer2.0.downsample.1.bias") - wide("layer2.0.downsample.1.running_mean") * scale).to(at::kFloat)));
}

TEST_CASE("a model that was written is read the same; a file that is cut or another's is damaged") {
  const Exporting exporting;
  const std::filesystem::path path = exporting.root / "model.onnx";
  const OnnxModel model = folded_model(read_student(exporting.file()), {.input = GraphInput::kUint8, .opset = 21});
  write_onnx(model, path);
  CHECK(read_onnx(path) == model);
  const std::string bytes = read_whole(path);
  for (const std::string& damaged : {bytes.substr(0, bytes.size() / 2), std::string("PK\3\4"), std::string()}) {
    write_whole(path, damaged);
    try {
      read_onnx(path);
      FAIL("was read");
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::kCorrupt);
      CHECK(has(error.what(), path.string() + ": is not an ONNX file of Vitrine"));
    }
  }
}

TEST_CASE("a student that diverged is refused by its file, and no format leaves a file behind") {
  const TemporaryDirectory root;
  Tensors weights = random_weights(resnet_record());
  weights.at("layer1.0.bn1.weight")[0] = std::numeric_limits<float>::quiet_NaN();
  save_safetensors(root / "weights.safetensors", weights, resnet_record().metadata());
  for (const ExportFormat format : kAllFormats) {
    ExportRequest request;
    request.model = (root / "weights.safetensors").string();
    request.formats = {format};
    request.out = (root / "out").string();
    CHECK(has(message_of([&] { export_student(request); }), "weights.safetensors: the logits"));
    CHECK(list_directory(root.path()).size() == 1);
  }
}

TEST_CASE("a different logit, one that is not a number, and a different shape do not agree") {
  const Exporting exporting;
  const StoredStudent student = read_student(exporting.file());
  Network network = network_of(student, at::kCPU);
  const Forward good = write_pth(student, exporting.root / "good.pth");
  const auto kind_of = [&](const Forward& forward) {
    try {
      check_agreement(student, network, forward, {{1, 32}, {3, 32}});
    } catch (const Error& error) {
      return error.kind();
    }
    return ErrorKind::kInput;
  };
  CHECK(check_agreement(student, network, good, {{1, 32}}).difference == 0);
  CHECK(kind_of([&](const at::Tensor& x) { return good(x) + 0.1; }) == ErrorKind::kInternal);
  CHECK(kind_of([&](const at::Tensor& x) { return good(x) * std::numeric_limits<float>::quiet_NaN(); }) ==
        ErrorKind::kInternal);
  CHECK(kind_of([&](const at::Tensor& x) {
          const at::Tensor logits = good(x);  // wrong in the first batch only
          return x.size(0) == 1 ? logits * std::numeric_limits<float>::quiet_NaN() : logits;
        }) == ErrorKind::kInternal);
  CHECK(kind_of([&](const at::Tensor& x) { return good(x).slice(1, 0, 2); }) == ErrorKind::kInternal);
}

TEST_CASE("a ViT is exported as tensors, and refused as a graph before anything is written") {
  const Exporting exporting(vit_record());
  const std::vector<ExportedFile> files =
      export_student(exporting.request({ExportFormat::kSafetensors, ExportFormat::kPth}));
  for (const ExportedFile& file : files) CHECK(same(read_student(file.path).weights, exporting.weights));
  for (const ExportFormat graph : {ExportFormat::kOnnx, ExportFormat::kTorchscript})
    CHECK(has(message_of([&] { export_student(exporting.request({ExportFormat::kPth, graph})); }), "is a ViT"));
  CHECK(list_directory(exporting.out).size() == files.size());
}
