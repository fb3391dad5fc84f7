#include "train/matching/feature_transformer.h"

#include <ATen/autocast_mode.h>
#include <torch/autograd.h>
#include <torch/nn/modules/conv.h>
#include <torch/optim/sgd.h>
#include <ATen/ATen.h>

#include "common/base/error.h"
#include "tests/support/testing.h"
#include "tests/train/gradients.h"

using namespace vitrine;
using testing::gradient_error;
using testing::normal;

namespace {

FeatureTransformer made(Direction direction, at::ScalarType type = at::kDouble, FeatureForm form = FeatureForm::kPlain,
                        Fusion fusion = Fusion::kAdditive, double attention_share = 1, const at::Tensor& basis = {}) {
  at::manual_seed(3);
  FeatureTransformer transformer(
      FeatureTransformerOptions{
          .direction = direction, .form = form, .fusion = fusion, .attention_share = attention_share, .se_ratio = 2},
      FeatureShapes{5, 4, 4, 4}, basis);
  transformer->to(type);
  return transformer;
}

struct Maps {
  at::Tensor student = normal({3, 4, 2, 2}, 1).requires_grad_();
  at::Tensor teacher = normal({3, 5, 4, 4}, 2);
  at::Tensor attention = normal({3, 2, 4, 4}, 3).abs();
};

}  // namespace

TEST_CASE("a rotated teacher map gives the same loss and gradients, in both directions and every form") {
  const Maps plain, turned;
  const at::Tensor basis = std::get<0>(at::linalg_qr(normal({5, 5}, 4)));
  const at::Tensor teacher = at::einsum("dc,nchw->ndhw", {basis, plain.teacher});
  for (const Direction direction : {Direction::kTeacherToStudent, Direction::kStudentToTeacher})
    for (const FeatureForm form : {FeatureForm::kPlain, FeatureForm::kNormalised, FeatureForm::kCosine}) {
      CAPTURE(static_cast<int>(direction));
      CAPTURE(static_cast<int>(form));
      FeatureTransformer one = made(direction, at::kDouble, form),
                         other = made(direction, at::kDouble, form, {}, 1, basis);
      const at::Tensor expected = one->forward(plain.student, plain.teacher, plain.attention).loss;
      const at::Tensor loss = other->forward(turned.student, teacher, turned.attention).loss;
      CHECK(std::abs((loss - expected).item<double>()) < 1e-12);
      const std::vector<at::Tensor> expected_parameters = one->parameters(), parameters = other->parameters();
      REQUIRE(parameters.size() == expected_parameters.size());  // the basis is not part of the state
      CHECK(other->buffers().size() == one->buffers().size());
      const at::Tensor there = torch::autograd::grad({expected}, {plain.student}, {}, true)[0];
      CHECK((torch::autograd::grad({loss}, {turned.student}, {}, true)[0] - there).abs().max().item<double>() < 1e-12);
      expected.backward();
      loss.backward();
      for (std::size_t p = 0; p < parameters.size(); ++p)
        CHECK((parameters[p].grad() - expected_parameters[p].grad()).abs().max().item<double>() < 1e-12);
      // An unrotated map gives another loss.
      CHECK(std::abs((other->forward(turned.student, plain.teacher, turned.attention).loss - expected).item<double>()) >
            1e-3);
    }
}

TEST_CASE("standardised maps have mean 0 and variance 1 in each channel over batch and positions") {
  const at::Tensor x = standardise(normal({6, 3, 4, 5}, 1) * 7 + 2);
  CHECK(x.mean({0, 2, 3}).abs().max().item<double>() < 1e-12);
  CHECK((x.square().mean({0, 2, 3}) - 1).abs().max().item<double>() < 1e-5);
}

TEST_CASE("in both directions, every form and fusion, gradients match finite differences and the teacher has none") {
  struct Case {
    Direction direction;
    FeatureForm form;
    Fusion fusion;
  };
  for (const auto& [direction, form, fusion] :
       {Case{Direction::kTeacherToStudent, FeatureForm::kPlain, Fusion::kAdditive},
        {Direction::kTeacherToStudent, FeatureForm::kPlain, Fusion::kGated},
        {Direction::kTeacherToStudent, FeatureForm::kNormalised, Fusion::kGated},
        {Direction::kTeacherToStudent, FeatureForm::kCosine, Fusion::kAdditive},
        {Direction::kStudentToTeacher, FeatureForm::kPlain, Fusion::kAdditive},
        {Direction::kStudentToTeacher, FeatureForm::kNormalised, Fusion::kAdditive},
        {Direction::kStudentToTeacher, FeatureForm::kCosine, Fusion::kAdditive}}) {
    CAPTURE(static_cast<int>(direction));
    CAPTURE(static_cast<int>(form));
    CAPTURE(static_cast<int>(fusion));
    FeatureTransformer transformer = made(direction, at::kDouble, form, fusion);
    Maps maps;
    maps.teacher.requires_grad_();
    maps.attention.requires_grad_();
    const auto loss = [&] { return transformer->forward(maps.student, maps.teacher, maps.attention).loss; };
    CHECK(gradient_error(loss, maps.student) < 1e-8);
    for (const auto& parameter : transformer->named_parameters()) {
      CAPTURE(parameter.key());
      CHECK(gradient_error(loss, parameter.value()) < 1e-8);
    }
    CHECK_FALSE(maps.teacher.grad().defined());
    CHECK_FALSE(maps.attention.grad().defined());
  }
}

TEST_CASE("the loss's value is the squared error of the two sides on the smaller grid") {
  const Maps maps;
  for (const Direction direction : {Direction::kTeacherToStudent, Direction::kStudentToTeacher}) {
    const FeatureLoss out = made(direction, at::kDouble, FeatureForm::kPlain, Fusion::kAdditive, 0)
                                ->forward(maps.student, maps.teacher, maps.attention);
    const std::int64_t channels = direction == Direction::kTeacherToStudent ? 4 : 5;
    CHECK(out.target.sizes() == at::IntArrayRef({3, channels, 2, 2}));
    CHECK(out.student.sizes() == out.target.sizes());
    // Within the variance floor's share of the target's variance.
    CHECK(out.loss.item<double>() ==
          doctest::Approx((out.student - out.target).square().mean().item<double>()).epsilon(0.01));
  }
  // A student on a finer grid is pooled to the teacher's.
  const at::Tensor fine = normal({3, 4, 8, 8}, 4);
  CHECK(made(Direction::kTeacherToStudent)->forward(fine, maps.teacher).target.size(2) == 4);
}

TEST_CASE("student to teacher: the target is the teacher's pooled map") {
  const Maps maps;
  const FeatureLoss out = made(Direction::kStudentToTeacher)->forward(maps.student, maps.teacher);
  CHECK(at::equal(out.target, at::avg_pool2d(maps.teacher, 2)));
}

TEST_CASE("student to teacher: positions are weighted by the teacher's attention") {
  Maps maps;
  for (const FeatureForm form : {FeatureForm::kPlain, FeatureForm::kNormalised, FeatureForm::kCosine}) {
    CAPTURE(static_cast<int>(form));
    const auto loss = [&](const at::Tensor& attention, double share) {
      return made(Direction::kStudentToTeacher, at::kDouble, form, Fusion::kAdditive, share)
          ->forward(maps.student, maps.teacher, attention)
          .loss.item<double>();
    };
    const double alike = loss({}, 1);
    CHECK(loss(at::full({3, 2, 4, 4}, 0.01, at::kDouble), 1) == doctest::Approx(alike));
    CHECK(loss(maps.attention, 0) == alike);
    CHECK(loss(maps.attention, 1) != doctest::Approx(alike));
    // Losses are linear in the weights: half of the attention share gives the mean.
    if (form != FeatureForm::kNormalised)
      CHECK(loss(maps.attention, 0.5) == doctest::Approx((alike + loss(maps.attention, 1)) / 2));
    // A position without attention has no gradient.
    at::Tensor elsewhere = maps.attention.clone();
    elsewhere.narrow(2, 0, 2).narrow(3, 0, 2).zero_();  // the first of 2 × 2 positions
    at::Tensor student = maps.student.detach().clone().requires_grad_();
    made(Direction::kStudentToTeacher, at::kDouble, form)->forward(student, maps.teacher, elsewhere).loss.backward();
    CHECK(student.grad().select(2, 0).select(2, 0).abs().max().item<double>() == 0);
    CHECK(student.grad().select(2, 1).select(2, 1).abs().min().item<double>() > 0);
  }
}

TEST_CASE("student to teacher: a target that is a linear function of the student is learned exactly") {
  const at::Tensor student = normal({16, 4, 4, 4}, 5);
  const at::Tensor teacher = at::einsum("nchw,kc->nkhw", {student, normal({5, 4}, 6)});
  FeatureTransformer transformer = made(Direction::kStudentToTeacher);
  torch::optim::SGD descent(transformer->parameters(), torch::optim::SGDOptions(0.5));
  double loss = 0;
  for (int step = 0; step < 200; ++step) {
    descent.zero_grad();
    const at::Tensor value = transformer->forward(student, teacher).loss;
    value.backward();
    descent.step();
    loss = value.item<double>();
  }
  CHECK(loss < 1e-6);
}

TEST_CASE("teacher to student: constant or zero outputs do not lower the loss") {
  const Maps maps;
  FeatureTransformer transformer = made(Direction::kTeacherToStudent);
  // Neither a constant nor a shrinking student approaches zero loss.
  CHECK(transformer->forward(at::ones_like(maps.student), maps.teacher).loss.item<double>() == doctest::Approx(2));
  const double before = transformer->forward(maps.student, maps.teacher).loss.item<double>();
  CHECK(transformer->forward(maps.student * 0.1, maps.teacher).loss.item<double>() ==
        doctest::Approx(before).epsilon(0.01));
  // A constant target.
  {
    const at::NoGradGuard no_grad;
    for (at::Tensor& parameter : transformer->parameters()) parameter.zero_();
  }
  CHECK(transformer->forward(maps.student, maps.teacher).loss.item<double>() == doctest::Approx(2));
  // Both constant: a plain squared error would be zero.
  CHECK(transformer->forward(at::zeros_like(maps.student), maps.teacher).loss.item<double>() == doctest::Approx(2));
}

TEST_CASE("teacher to student: with weight 0 the transformer has no gradient, and the student's is unchanged") {
  const auto student_gradient = [](double weight, double* transformer_gradient) {
    at::manual_seed(3);
    FeatureTransformer transformer(
        FeatureTransformerOptions{.direction = Direction::kTeacherToStudent, .transformer_weight = weight},
        FeatureShapes{5, 4, 4, 4});
    transformer->to(at::kDouble);
    const Maps maps;
    transformer->forward(maps.student, maps.teacher, maps.attention).loss.backward();
    *transformer_gradient = 0;
    for (const at::Tensor& parameter : transformer->parameters())
      if (parameter.grad().defined()) *transformer_gradient += parameter.grad().abs().sum().item<double>();
    return maps.student.grad();
  };
  double with = 0, without = 0;
  const at::Tensor expected = student_gradient(1, &with);
  CHECK(at::equal(student_gradient(0, &without), expected));
  CHECK(with > 0);
  CHECK(without == 0);
}

TEST_CASE("additive fusion is neutral for uniform attention, ignores its scale, and follows peaked attention") {
  FeatureTransformer transformer = made(Direction::kTeacherToStudent);
  Maps maps;
  const at::Tensor student = normal({3, 4, 4, 4}, 1);
  const auto target = [&](const at::Tensor& attention) {
    return transformer->forward(student, maps.teacher, attention).target;
  };
  // Uniform attention has no effect, scale does not matter, peaked attention changes the target.
  const at::Tensor uniform = at::ones({3, 2, 4, 4}, at::kDouble) / 16;
  CHECK(at::allclose(target(uniform), target({})));
  CHECK(at::allclose(target(maps.attention), target(maps.attention * 0.01)));
  CHECK_FALSE(at::allclose(target(maps.attention), target({})));
}

TEST_CASE("with gated fusion the mask sets how strongly attention is applied") {
  FeatureTransformer transformer = made(Direction::kTeacherToStudent, at::kDouble, FeatureForm::kPlain, Fusion::kGated);
  const Maps maps;
  const at::Tensor student = normal({3, 4, 4, 4}, 1);
  const auto target = [&](const at::Tensor& attention) {
    return transformer->forward(student, maps.teacher, attention).target;
  };
  const auto set_mask = [&](double value) {
    const at::NoGradGuard no_grad;
    transformer->named_parameters()["mask"].fill_(value);
  };
  set_mask(-40);  // closed: equal to no attention
  CHECK(at::allclose(target(maps.attention), target({})));
  set_mask(40);  // open: full attention
  CHECK_FALSE(at::allclose(target(maps.attention), target({})));
  CHECK(at::allclose(target(maps.attention), target(maps.attention * 0.01)));
}

TEST_CASE("with unrelated inputs and both sides learning, a plain squared error collapses and this loss does not") {
  const at::Tensor x = normal({32, 4, 3, 3}, 21), unrelated = normal({32, 5, 3, 3}, 22);
  const auto learn = [](const std::function<at::Tensor()>& loss, const std::vector<at::Tensor>& parameters) {
    torch::optim::SGD descent(parameters, torch::optim::SGDOptions(0.1).momentum(0.9));
    double last = 0;
    for (int step = 0; step < 300; ++step) {
      descent.zero_grad();
      const at::Tensor value = loss();
      value.backward();
      descent.step();
      last = value.item<double>();
    }
    return last;
  };
  const auto pointwise = [](std::int64_t from, std::int64_t to) {
    torch::nn::Conv2d layer(torch::nn::Conv2dOptions(from, to, 1));
    layer->to(at::kDouble);
    return layer;
  };
  at::manual_seed(5);
  torch::nn::Conv2d student = pointwise(4, 4), teacher_side = pointwise(5, 4);
  {  // plain error: collapsed to perfect agreement
    std::vector<at::Tensor> parameters = student->parameters();
    for (const at::Tensor& parameter : teacher_side->parameters()) parameters.push_back(parameter);
    const double loss =
        learn([&] { return (student->forward(x) - teacher_side->forward(unrelated)).square().mean(); }, parameters);
    CHECK(loss < 1e-3);
    CHECK(student->forward(x).var({0, 2, 3}).max().item<double>() < 1e-3);
  }
  const auto guarded = [&](const at::Tensor& teacher) {
    at::manual_seed(5);
    torch::nn::Conv2d own = pointwise(4, 4);
    FeatureTransformer transformer(FeatureTransformerOptions{.direction = Direction::kTeacherToStudent, .se_ratio = 2},
                                   FeatureShapes{5, 4, 3, 3});
    transformer->to(at::kDouble);
    std::vector<at::Tensor> parameters = own->parameters();
    for (const at::Tensor& parameter : transformer->parameters()) parameters.push_back(parameter);
    const double loss = learn([&] { return transformer->forward(own->forward(x), teacher).loss; }, parameters);
    CHECK(own->forward(x).var({0, 2, 3}).min().item<double>() > 1e-2);
    return loss;
  };
  // Unrelated maps stay at chance level; related ones agree.
  CHECK(guarded(unrelated) > 1.2);
  CHECK(guarded(at::einsum("nchw,kc->nkhw", {x, normal({5, 4}, 23)})) < 0.2);
}

TEST_CASE("half precision inputs are computed in single precision, also under autocast") {
  FeatureTransformer transformer = made(Direction::kTeacherToStudent, at::kFloat);
  const Maps maps;
  at::autocast::set_autocast_enabled(at::kCPU, true);
  const FeatureLoss out =
      transformer->forward(maps.student.to(at::kBFloat16), maps.teacher.to(at::kFloat), maps.attention.to(at::kFloat));
  at::autocast::set_autocast_enabled(at::kCPU, false);
  const FeatureLoss expected = transformer->forward(maps.student.to(at::kBFloat16).to(at::kFloat),
                                                    maps.teacher.to(at::kFloat), maps.attention.to(at::kFloat));
  CHECK((out.loss.scalar_type() == at::kFloat));
  CHECK(at::equal(out.loss, expected.loss));
}

TEST_CASE("maps of other shapes are refused, and the message names the map") {
  FeatureTransformer transformer = made(Direction::kTeacherToStudent);
  const Maps maps;
  CHECK_THROWS_WITH_AS(transformer->forward(maps.teacher, maps.teacher), doctest::Contains("student's map"), Error);
  CHECK_THROWS_WITH_AS(transformer->forward(maps.student, maps.student), doctest::Contains("teacher's map"), Error);
  CHECK_THROWS_WITH_AS(transformer->forward(maps.student, normal({3, 5, 6, 6}, 1)), doctest::Contains("4x4"), Error);
  CHECK_THROWS_WITH_AS(transformer->forward(maps.student, maps.teacher, normal({3, 2, 2, 2}, 1)),
                       doctest::Contains("attention"), Error);
  CHECK_THROWS_AS(FeatureTransformer(FeatureTransformerOptions{}, FeatureShapes{}), std::logic_error);
}
