// The student: moving average, modes, BatchNorm's statistics, and the record in its files.
#include <torch/nn/module.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/conv.h>
#include <ATen/ATen.h>

#include <filesystem>
#include <string>
#include <vector>

#include "common/base/error.h"
#include "common/kernels/normalise.h"
#include "common/models/weights/load.h"
#include "tests/support/message.h"
#include "tests/support/testing.h"
#include "tests/support/zip_bytes.h"
#include "tests/train/gradients.h"
#include "train/student/student.h"

using namespace vitrine;

using vitrine::testing::has;
using vitrine::testing::message_of;
using vitrine::testing::normal;

namespace {

torch::nn::Sequential small_model() {
  at::manual_seed(4);
  return torch::nn::Sequential(torch::nn::Conv2d(3, 4, 3), torch::nn::BatchNorm2d(4));
}

/// Changes every weight and BatchNorm's statistics, like a training step.
void move(torch::nn::Sequential& model, std::uint64_t seed) {
  const at::NoGradGuard no_grad;
  for (at::Tensor& parameter : model->parameters())
    parameter.add_(at::randn(parameter.sizes(), at::make_generator<at::CPUGeneratorImpl>(seed)));
  model->train();
  model->forward(normal({2, 3, 5, 5}, seed, at::kFloat));
}

Tensors copied(const torch::nn::Module& module) {
  Tensors out;
  for (const auto& [name, tensor] : state_dict(module)) out.emplace(name, tensor.clone());
  return out;
}

StudentOptions slim() {
  StudentOptions out;
  out.model.width = 4;
  out.size = 32;
  return out;
}

Student student(const StudentOptions& options) {
  at::manual_seed(4);
  return Student(options, 3, at::kCPU, {"ant", "bee", "cat"});
}

at::Tensor pictures(std::uint64_t seed) {
  return at::randint(256, {4, 32, 32, 3}, at::make_generator<at::CPUGeneratorImpl>(seed), at::kByte);
}

/// What torch.save writes of them: a .pth file.
std::string torch_file(const Tensors& tensors) {
  using vitrine::testing::little_endian;
  const auto word = [](const std::string& one) { return "X" + little_endian(one.size(), 4) + one; };
  const auto number = [](std::int64_t one) { return "J" + little_endian(static_cast<std::uint64_t>(one), 4); };
  const auto tuple = [&](at::IntArrayRef numbers) {
    std::string out = "(";
    for (const std::int64_t one : numbers) out += number(one);
    return out + "t";
  };
  std::string pickle = "\x80\2}";
  std::vector<vitrine::testing::ZipMember> members{{"archive/data.pkl", ""}};
  for (const auto& [name, tensor] : tensors) {
    const std::string storage = std::to_string(members.size() - 1);
    pickle += word(name) + "ctorch._utils\n_rebuild_tensor_v2\n((" + word("storage") + "ctorch\n" +
              (tensor.is_floating_point() ? "FloatStorage\n" : "LongStorage\n") + word(storage) + word("cpu") +
              number(tensor.numel()) + "tQ" + number(0) + tuple(tensor.sizes()) + tuple(tensor.contiguous().strides()) +
              "\x89" + "ccollections\nOrderedDict\n)RtRs";
    members.push_back(
        {"archive/data/" + storage, {static_cast<const char*>(tensor.contiguous().const_data_ptr()), tensor.nbytes()}});
  }
  members.front().bytes = pickle + ".";
  return vitrine::testing::zip_bytes(members);
}

}  // namespace

TEST_CASE("the average is d·average + (1 − d)·weights, also for BatchNorm's statistics; integer buffers are copied") {
  torch::nn::Sequential model = small_model();
  WeightEma average({.decay = 0.75, .warm_up = false}, *model);
  Tensors expected = copied(*model);
  for (std::uint64_t update = 1; update <= 3; ++update) {
    move(model, update);
    average.update();
    for (auto& [name, tensor] : expected) {
      const at::Tensor now = copied(*model).at(name);
      tensor = tensor.is_floating_point() ? 0.75 * tensor + 0.25 * now : now;
    }
  }
  const Tensors state = average.state();
  CHECK(state.at("updates").item<std::int64_t>() == 3);
  for (const auto& [name, tensor] : expected) {
    CAPTURE(name);
    CHECK(at::allclose(state.at(name), tensor, 1e-5, 1e-6));
  }
  CHECK_FALSE(at::allclose(state.at("1.running_mean"), copied(*model).at("1.running_mean")));
  CHECK(state.at("1.num_batches_tracked").item<std::int64_t>() == 3);
}

TEST_CASE("with warm-up the first update keeps a tenth of the initial weights") {
  torch::nn::Sequential model = small_model();
  WeightEma average({.decay = 0.999, .warm_up = true}, *model);
  const at::Tensor before = model->parameters()[0].detach().clone();
  move(model, 1);
  average.update();
  CHECK(at::allclose(average.state().at("0.weight"), 0.1 * before + 0.9 * model->parameters()[0].detach(), 1e-5, 1e-6));
}

TEST_CASE("swap puts the average into the model, and a second swap restores the weights bit-equal") {
  torch::nn::Sequential model = small_model();
  WeightEma average({.decay = 0.5, .warm_up = false}, *model);
  move(model, 1);
  average.update();
  const Tensors weights = copied(*model);
  const at::Tensor averaged = average.state().at("0.weight").clone();
  average.swap();
  CHECK(at::equal(copied(*model).at("0.weight"), averaged));
  average.swap();
  for (const auto& [name, tensor] : copied(*model)) CHECK(at::equal(tensor, weights.at(name)));
}

TEST_CASE("a loaded average continues as the saved one; another model's is refused") {
  torch::nn::Sequential model = small_model();
  WeightEma average({.decay = 0.9, .warm_up = true}, *model);
  move(model, 1);
  average.update();
  WeightEma other({.decay = 0.9, .warm_up = true}, *model);
  other.load(average.state(), "file");
  move(model, 2);
  average.update();
  other.update();
  const Tensors expected = average.state();
  for (const auto& [name, tensor] : other.state()) CHECK(at::equal(tensor, expected.at(name)));
  Tensors wrong = average.state();
  wrong.at("0.weight") = at::zeros({1});
  CHECK(has(message_of([&] { other.load(wrong, "file"); }), "0.weight"));
  CHECK(message_of([&] { other.load({}, "file"); }).find("file") == 0);
}

TEST_CASE("a frozen student has no gradients and fixed statistics; frozen BatchNorm alone leaves the weights free") {
  Student one = student(slim());
  const auto statistics = [&] { return one.weights().at("bn1.running_mean").clone(); };
  const at::Tensor before = statistics();
  for (const auto& [frozen, frozen_batch_norm] : {std::pair{true, false}, {true, true}, {false, true}}) {
    CAPTURE(frozen);
    one.train_mode(frozen, frozen_batch_norm);
    const at::Tensor logits = one.forward(pictures(1)).logits;
    CHECK(logits.requires_grad() == !frozen);
    CHECK(at::equal(before, statistics()));
  }
  one.train_mode(false, false);
  CHECK(one.forward(pictures(1)).logits.requires_grad());
  CHECK_FALSE(at::equal(before, statistics()));
}

TEST_CASE("within Averaged a student has the averaged weights, and afterwards its own, bit-equal") {
  StudentOptions options = slim();
  options.ema = {.decay = 0.5, .warm_up = false};
  Student one = student(options);
  const Tensors first = copied(one.network().module());
  {
    const at::NoGradGuard no_grad;
    one.network().module().parameters()[0].add_(1);
  }
  one.updated();
  const Tensors own = copied(one.network().module());
  {
    const Student::Averaged averaged(one);
    CHECK(at::allclose(one.weights().at("conv1.weight"), first.at("conv1.weight") + 0.5));
  }
  for (const auto& [name, tensor] : one.weights()) CHECK(at::equal(tensor, own.at(name)));
  Student without = student(slim());
  CHECK(without.average() == nullptr);
  const Student::Averaged none(without);  // nothing to exchange
  for (const auto& [name, tensor] : without.weights()) CHECK(at::equal(tensor, first.at(name)));
}

TEST_CASE("re-estimated statistics are the mean over the batches, whatever they were before") {
  Student one = student(slim());
  one.train_mode(false, false);
  one.forward(pictures(9));
  std::uint64_t seed = 0;
  one.reestimate_batch_norm([&] { return ++seed <= 3 ? pictures(seed) : at::Tensor(); });
  at::Tensor expected = at::zeros({4});
  const at::NoGradGuard no_grad;
  for (std::uint64_t batch = 1; batch <= 3; ++batch) {
    const at::Tensor x = normalise_pictures(pictures(batch), {0.485f, 0.456f, 0.406f}, {0.229f, 0.224f, 0.225f});
    expected += at::conv2d(x, one.weights().at("conv1.weight"), {}, 2, 3).mean({0, 2, 3}) / 3;
  }
  CHECK(at::allclose(one.weights().at("bn1.running_mean"), expected, 1e-4, 1e-5));
}

TEST_CASE("without any batch the statistics stay as they are") {
  Student one = student(slim());
  one.train_mode(false, false);
  one.forward(pictures(9));
  const Tensors before = copied(one.network().module());
  one.reestimate_batch_norm([] { return at::Tensor(); });
  for (const auto& [name, tensor] : one.weights()) CHECK(at::equal(tensor, before.at(name)));
}

TEST_CASE("a mean or std without three colours is refused by its key") {
  StudentOptions options = slim();
  options.mean = {0.5};
  CHECK(vitrine::testing::has(message_of([&] { student(options); }), "mean"));
  options = slim();
  options.stddev = {0.5, 0.5};
  CHECK(vitrine::testing::has(message_of([&] { student(options); }), "std"));
}

TEST_CASE("a network starts from a .pth and from a folder, whose record of classes orders its head") {
  const vitrine::testing::TemporaryDirectory root;
  const std::vector<std::string> names{"ant", "bee", "cat"};
  StudentOptions trained = slim();
  at::manual_seed(9);
  Student other(trained, 3, at::kCPU, {"cat", "ant", "bee"});
  const Tensors weights = copied(other.network().module());
  const auto started_from = [&](const std::filesystem::path& path) {
    ModelOptions options = slim().model;
    options.weights = path.string();
    return copied(Network(options, 3, at::kCPU, names).module());
  };
  vitrine::testing::write_whole(root / "student.pth", torch_file(weights));
  for (const auto& [name, tensor] : started_from(root / "student.pth")) {
    CAPTURE(name);
    CHECK(at::equal(tensor, weights.at(name)));
  }
  std::filesystem::create_directories(root / "folder");
  save_safetensors(root / "folder/model.safetensors", weights, other.record(1).metadata());
  const at::Tensor order = at::tensor({1, 2, 0}, at::kLong);
  for (const auto& [name, tensor] : started_from(root / "folder")) {
    CAPTURE(name);
    CHECK(at::equal(tensor, name.starts_with("fc.") ? weights.at(name).index_select(0, order) : weights.at(name)));
  }
}

TEST_CASE("a ViT's record holds every dimension") {
  WeightsRecord record;
  record.model.kind = "vit";
  record.model.vit = resolve({.arch = "vit_small_patch16_224", .image_size = 64});
  record.size = 64;
  record.mean = record.stddev = {0.5, 0.5, 0.5};
  record.crop_pct = 1;
  record.precision = "fp32";
  record.class_count = 7;
  const auto back = WeightsRecord::parse(record.metadata(), "a test");
  REQUIRE(back);
  CHECK(back->model.vit.arch.empty());
  CHECK(back->model.vit.image_size == 64);
  CHECK(back->model.vit.patch == 16);
  CHECK(back->model.vit.dim == 384);
  CHECK(back->model.vit.depth == 12);
  CHECK(back->model.vit.heads == 6);
  CHECK(back->class_count == 7);
}

TEST_CASE("a file of weights whose record cannot be is refused by the file and the key") {
  StudentOptions options = slim();
  WeightsRecord record = student(options).record(3);
  record.score = 0.5;
  const auto metadata = record.metadata();
  REQUIRE(WeightsRecord::parse(metadata, "a file"));
  const std::pair<const char*, const char*> wrong[] = {{"kind", "mlp"},
                                                       {"width", "4.5"},
                                                       {"width", "-4"},
                                                       {"width", "4294967300"},
                                                       {"width", "0"},
                                                       {"size", "32.5"},
                                                       {"size", "1e2"},
                                                       {"size", "true"},
                                                       {"size", "\"32\""},
                                                       {"size", "8589934624"},
                                                       {"mean", "[0.5, 0.5]"},
                                                       {"mean", "[0.5, 0.5, 0.5, 0.5]"},
                                                       {"mean", "0.5"},
                                                       {"mean", "[0, 0, 2]"},
                                                       {"mean", "[0, 0, null]"},
                                                       {"mean", "[0, 0, 1e999]"},
                                                       {"std", "[1, 1, 0]"},
                                                       {"std", "[1, 1, \"1\"]"},
                                                       {"crop_pct", "-1"},
                                                       {"crop_pct", "\"all\""},
                                                       {"exif_orientation", "turn"},
                                                       {"grey16", ""},
                                                       {"class_count", "3.0"},
                                                       {"class_count", "-1"},
                                                       {"class_count", "0"},
                                                       {"classes", "[1, 2]"},
                                                       {"classes", "{\"a\": 1}"},
                                                       {"classes", "[\"a\"]"},
                                                       {"step", "0.5"},
                                                       {"step", "-3"},
                                                       {"step", "18446744073709551616"},
                                                       {"score", "1.5"},
                                                       {"score", "nan"}};
  for (const auto& [key, value] : wrong) {
    CAPTURE(key);
    CAPTURE(value);
    auto changed = metadata;
    REQUIRE(changed.contains(std::string("vitrine.") + key));
    changed[std::string("vitrine.") + key] = value;
    try {
      WeightsRecord::parse(changed, "a file");
      FAIL("was read");
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::kCorrupt);
      CHECK(vitrine::testing::has(error.what(), std::string("a file: its metadata \"vitrine.") + key + "\""));
    }
  }
}
