// make_payloads DIR: payloads of the transform encoding that go through every branch of their decoder, each with its
// basis, and their table on standard output. They are kept in tests/golden/payloads, as README.md there describes them;
// make.sh there says when to run this. golden_payloads_test.cpp checks that together they cover what they are meant to.
#include <cmath>
#include <cstdio>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/hash.h"
#include "common/base/philox.h"
#include "common/cache/writer.h"
#include "common/codec/transform/transform_codec.h"
#include "common/codec/transform/encoder/calibrator.h"

using namespace vitrine;

namespace {

struct Case {
  const char* name;
  std::uint32_t channels, height, width, views;
  double bound;
  double tails;     // how far the largest views lie beyond the others, in octaves
  bool is_smooth;   // over positions, so that a transform over them pays
  bool is_shifted;  // other sizes than the calibration's, so that levels of its own pay
  double fall = 0;  // octaves that a channel is smaller than the one before; 0: channel c is 1 / (1 + c)
};

constexpr Case kCases[] = {
    {"steps", 4, 9, 17, 3, 1e-3, 2, false, false},   {"fine", 5, 4, 5, 9, 1e-7, 9, false, false},
    {"own", 6, 5, 5, 40, 0.02, 1, false, true},      {"view64", 3, 4, 4, 64, 0.01, 1, false, false},
    {"view128", 3, 3, 5, 128, 0.03, 1, true, false}, {"column", 2, 7, 1, 50, 0.005, 1, false, false},
    {"single", 3, 1, 1, 5, 0.05, 1, false, false},   {"kinds", 41, 3, 4, 12, 1e-6, 1, false, false, 0.5},
    {"coarse", 8, 4, 4, 32, 0.7, 1, false, false},
};

std::vector<float> features(const Case& made, std::uint32_t views, std::uint64_t seed, double size) {
  RandomStream draws(seed, Purpose::kSample);
  std::vector<float> out;
  for (std::uint32_t view = 0; view < views; ++view) {
    const double contrast = std::exp2(made.tails * std::pow(draws.uniform(), 8.0));
    for (std::uint32_t c = 0; c < made.channels; ++c) {
      const double common = draws.normal(), phase = draws.uniform();
      for (std::uint32_t p = 0; p < made.height * made.width; ++p) {
        const double row = p / made.width, column = p % made.width;
        const double x = made.is_smooth ? 3 * common * std::cos(0.3 * row + 0.2 * column + phase) + 0.1 * draws.normal()
                                        : 0.5 * common + draws.normal();
        out.push_back(
            static_cast<float>(1 + size * contrast * x * (made.fall > 0 ? std::exp2(-made.fall * c) : 1.0 / (1 + c))));
      }
    }
  }
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  return guarded_main("make_payloads", [&] {
    const std::filesystem::path out = argv[1];
    make_directories(out);
    std::puts("payload\tviews\titems");
    std::uint64_t seed = 1;
    for (const Case& made : kCases) {
      Calibrator calibrator(made.channels, made.height, made.width);
      calibrator.add(features(made, 128, seed++, 1), 128);
      const auto basis = std::make_shared<const FeatureBasis>(calibrator.finish(made.bound, made.views));
      const TransformCodec codec(basis, made.bound);
      const std::vector<float> raw = features(made, made.views, seed++, made.is_shifted ? 4 : 1);
      const std::vector<std::byte> payload = codec.encode(raw, made.views)[0].bytes;
      std::vector<float> items(raw.size());
      codec.decode_items(payload, made.views, items);
      const std::string name = made.name;
      write_basis(out / (name + ".basis.h5"), *basis);
      publish(out / (name + ".payload"), {reinterpret_cast<const char*>(payload.data()), payload.size()});
      std::printf("%s\t%u\t%s\n", made.name, made.views, hexadecimal(xxh3(std::as_bytes(std::span(items)))).c_str());
    }
    return 0;
  });
}
