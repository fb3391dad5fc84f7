#include "tools/commands/draw/drawing.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>
#include <stdexcept>

#include "common/base/philox.h"

namespace vitrine {
namespace {

constexpr double kPi = std::numbers::pi;
constexpr int kKinds = 6;  // of shapes and of textures
constexpr std::array<const char*, kKinds> kNames{"bori", "dapu", "kemi", "lono", "rasu", "tivo"};
// In the order of the alphabet too, for more species than kinds.
constexpr std::array<const char*, 15> kManyNames{"bori", "cavo", "dapu", "fesa", "gilu", "hano", "jubi", "kemi",
                                                 "lono", "mipa", "nevu", "pogo", "rasu", "sidi", "tivo"};
constexpr double kHueSpread = 0.45, kFaithful = 0.75, kBarChance = 0.5;
constexpr int kOver = 2;  // supersampling, for smooth edges

struct Object {
  double x, y, radius, angle, hue, saturation, value, wave;
  int shape, texture;
};

cv::Vec3f colour(double hue, double saturation, double value) {
  cv::Vec3f result;
  for (int c = 0; c < 3; ++c) {  // a cosine wheel: equal angles are equal distances between hues
    const double wheel = 0.5 + 0.5 * std::cos(hue - c * 2 * kPi / 3);
    result[c] = static_cast<float>(255 * value * (1 - saturation + saturation * wheel));
  }
  return result;
}

// Whether (u, v), in units of the radius, is inside.
bool inside(int shape, double u, double v) {
  const double r = std::hypot(u, v), a = std::atan2(v, u);
  switch (shape) {
    case 0:
      return r < 0.95;  // disc
    case 1:
      return std::max(std::abs(u), std::abs(v)) < 0.82;  // square
    case 2:
      return v > -0.6 && v < 1 - 1.75 * std::abs(u);  // triangle
    case 3:
      return r < 0.72 + 0.28 * std::cos(5 * a);  // flower
    case 4:
      return r < 1 && r > 0.5;  // ring
    default:
      return std::min(std::abs(u), std::abs(v)) < 0.32 && std::max(std::abs(u), std::abs(v)) < 1;  // cross
  }
}

// Brightness at (u, v), in [-1, 1].
double pattern(int texture, double u, double v, double wave) {
  switch (texture) {
    case 0:
      return 0.6 * v;  // shaded
    case 1:
      return std::sin(wave * u) > 0 ? 1 : -1;  // stripes
    case 2:
      return std::sin(wave * u) * std::sin(wave * v) > 0 ? 1 : -1;  // checks
    case 3:
      return std::cos(wave * u) + std::cos(wave * v) > 1.0 ? 1 : -0.6;  // dots
    case 4:
      return std::sin(1.3 * wave * std::hypot(u, v)) > 0 ? 1 : -1;  // rings
    default:
      return std::sin(wave * u + 2 * std::sin(0.7 * wave * v));  // waves
  }
}

Object make_object(int species, int species_count, double side, bool large, RandomStream& stream) {
  const int kinds = std::min(species_count, kKinds);
  const auto kind = [&](int own_kind) {
    const bool own = stream.uniform() < kFaithful;
    const auto any = static_cast<int>(stream.below(static_cast<std::uint64_t>(kinds)));
    return own ? own_kind : any;
  };
  Object object{};
  object.radius = side * (large ? stream.uniform(0.21, 0.30) : stream.uniform(0.11, 0.16));
  object.angle = stream.uniform(-0.6, 0.6);
  const double spread = species_count > kKinds ? kHueSpread * kKinds / species_count : kHueSpread;
  object.hue = 2 * kPi * species / species_count + spread * stream.normal();
  object.saturation = stream.uniform(0.55, 0.95);
  object.value = stream.uniform(0.6, 1.0);
  object.wave = stream.uniform(5, 9);
  object.shape = kind(species % kKinds);
  object.texture = kind((species + species / kKinds) % kKinds);  // a pair of kinds is one species'
  return object;
}

void place(Object& object, double width, double height, RandomStream& stream) {
  object.x = stream.uniform(0.8 * object.radius, width - 0.8 * object.radius);
  object.y = stream.uniform(0.8 * object.radius, height - 0.8 * object.radius);
}

void paint(cv::Mat3f& canvas, const Object& object) {
  const double c = std::cos(object.angle) / object.radius, s = std::sin(object.angle) / object.radius;
  const auto low = [](double value) { return std::max(0, static_cast<int>(std::floor(value))); };
  const int bottom = std::min(canvas.rows, low(object.y + 1.5 * object.radius));
  const int right = std::min(canvas.cols, low(object.x + 1.5 * object.radius));
  for (int y = low(object.y - 1.5 * object.radius); y < bottom; ++y)
    for (int x = low(object.x - 1.5 * object.radius); x < right; ++x) {
      const double dx = x + 0.5 - object.x, dy = y + 0.5 - object.y;
      const double u = c * dx + s * dy, v = c * dy - s * dx;
      if (!inside(object.shape, u, v)) continue;
      const double light = object.value * (0.72 + 0.28 * pattern(object.texture, u, v, object.wave));
      canvas(y, x) = colour(object.hue, object.saturation, light);
    }
}

// Octaves of noise, each with half the amplitude of the one before: amplitude 1/f.
cv::Mat3f background(int rows, int columns, RandomStream& stream) {
  const double hue = stream.uniform(0, 2 * kPi), saturation = stream.uniform(0, 0.25);
  const double value = stream.uniform(0.3, 0.6);
  cv::Mat3f canvas(rows, columns, colour(hue, saturation, value));
  const double strength = stream.uniform(20, 45);
  for (int octave = 0; octave < 5; ++octave) {
    const int cells = 2 << octave;
    cv::Mat3f coarse(cells + 1, cells + 1), fine;
    for (auto& cell : coarse) {
      const double grey = stream.normal();
      for (int c = 0; c < 3; ++c)
        cell[c] = static_cast<float>(strength / (1 << octave) * (0.8 * grey + 0.35 * stream.normal()));
    }
    cv::resize(coarse, fine, canvas.size(), 0, 0, cv::INTER_CUBIC);
    canvas += fine;
  }
  return canvas;
}

cv::Scalar any_colour(double saturation, RandomStream& stream) {
  const double hue = stream.uniform(0, 2 * kPi), value = stream.uniform(0.2, 0.9);
  const cv::Vec3f made = colour(hue, saturation, value);
  return {made[0], made[1], made[2]};
}

void clutter(cv::Mat3f& canvas, double side, RandomStream& stream) {
  const auto point = [&] {
    const double x = stream.uniform(0, canvas.cols), y = stream.uniform(0, canvas.rows);
    return cv::Point(static_cast<int>(x), static_cast<int>(y));
  };
  const auto count = 5 + stream.below(8);
  for (std::uint64_t i = 0; i < count; ++i) {
    const cv::Point at = point();
    const cv::Scalar tint = any_colour(stream.uniform(0.1, 0.7), stream);
    const double reach = side * stream.uniform(0.015, 0.045), angle = stream.uniform(0, 2 * kPi);
    if (stream.uniform() < 0.5) {
      cv::circle(canvas, at, std::max(1, static_cast<int>(reach)), tint, cv::FILLED);
    } else {
      const cv::Point end(at.x + static_cast<int>(6 * reach * std::cos(angle)),
                          at.y + static_cast<int>(6 * reach * std::sin(angle)));
      cv::line(canvas, at, end, tint, std::max(1, static_cast<int>(0.6 * reach)));
    }
  }
}

// A bar across the whole picture that passes near one of the objects.
void bar(cv::Mat3f& canvas, const Object& near, double side, RandomStream& stream) {
  const double angle = stream.uniform(0, kPi), half = side * stream.uniform(0.04, 0.08);
  const double x = near.x + stream.normal() * 0.5 * near.radius, y = near.y + stream.normal() * 0.5 * near.radius;
  const double dx = std::cos(angle) * 4 * side, dy = std::sin(angle) * 4 * side;
  const double nx = -std::sin(angle) * half, ny = std::cos(angle) * half;
  const auto corner = [](double a, double b) { return cv::Point(static_cast<int>(a), static_cast<int>(b)); };
  const std::array<cv::Point, 4> corners{corner(x + dx + nx, y + dy + ny), corner(x + dx - nx, y + dy - ny),
                                         corner(x - dx - nx, y - dy - ny), corner(x - dx + nx, y - dy + ny)};
  cv::fillConvexPoly(canvas, corners.data(), 4, any_colour(stream.uniform(0, 0.5), stream));
}

Image finish(const cv::Mat3f& canvas, int height, int width, RandomStream& stream) {
  cv::Mat3f small;
  cv::resize(canvas, small, {width, height}, 0, 0, cv::INTER_AREA);
  const double grain = stream.uniform(3, 9);
  Image image(height, width);
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      for (int c = 0; c < 3; ++c)
        image.row(y)[3 * x + c] = cv::saturate_cast<std::uint8_t>(small(y, x)[c] + grain * stream.normal());
  return image;
}

void check(const DrawingOptions& options) {
  if (options.size < 24 || options.species < 2 || options.species > static_cast<int>(kManyNames.size()) ||
      options.classes < 0 || options.classes > options.species * options.species)
    throw std::logic_error("drawing: expected at least 24 pixels, 2 to 15 species and at most species² classes");
}

int classes_of(const DrawingOptions& options) {
  return options.classes > 0 ? options.classes : options.species * options.species;
}

const char* name_of(const DrawingOptions& options, int species) {
  const auto i = static_cast<std::size_t>(species);
  return options.species > kKinds ? kManyNames[i] : kNames[i];
}

}  // namespace

int drawing_label(const DrawingOptions& options, std::uint64_t number) {
  check(options);
  return static_cast<int>(number % static_cast<std::uint64_t>(classes_of(options)));
}

std::vector<std::string> drawing_classes(const DrawingOptions& options) {
  check(options);
  std::vector<std::string> names;
  for (int label = 0; label < classes_of(options); ++label)
    names.push_back(std::string(name_of(options, label / options.species)) + "_" +
                    name_of(options, label % options.species));
  return names;
}

Image draw_picture(const DrawingOptions& options, std::uint64_t number) {
  const int label = drawing_label(options, number);
  RandomStream stream(options.seed, Purpose::kDrawing, 0, number);
  const auto side_length = [&] {
    return static_cast<int>(std::lround(options.size * stream.uniform(5.0 / 6, 4.0 / 3)));
  };
  const int height = side_length(), width = side_length();
  const int rows = height * kOver, columns = width * kOver;
  const double side = std::min(rows, columns);

  cv::Mat3f canvas = background(rows, columns, stream);
  clutter(canvas, side, stream);
  Object large = make_object(label / options.species, options.species, side, true, stream);
  Object small = make_object(label % options.species, options.species, side, false, stream);
  place(large, columns, rows, stream);
  // Places the objects side by side if that succeeds soon, else the smaller one covers a part of the larger.
  for (int attempt = 0; attempt < 40; ++attempt) {
    place(small, columns, rows, stream);
    if (std::hypot(small.x - large.x, small.y - large.y) > 0.95 * (small.radius + large.radius)) break;
  }
  paint(canvas, large);
  paint(canvas, small);
  if (stream.uniform() < kBarChance) {
    const bool over_large = stream.uniform() < 0.6;
    bar(canvas, over_large ? large : small, side, stream);
  }
  return finish(canvas, height, width, stream);
}

}  // namespace vitrine
