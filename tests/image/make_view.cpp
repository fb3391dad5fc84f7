// For the peers: image files through this project's decoder and resampler, as raw bytes on standard output.
//
//   make_view crop FILE TOP LEFT HEIGHT WIDTH OUT_HEIGHT OUT_WIDTH FLIP
//   make_view decode FILE
//   make_view upright FILE    with EXIF orientation applied
//   make_view scaled FILE     with 16-bit grey scaled
//   make_view centre FILE SIZE CROP_PCT FILTER
//   make_view brightness|contrast|saturation|hue FILE FACTOR
#include <cstdio>
#include <string>
#include <vector>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/image/augment.h"
#include "common/image/decode.h"
#include "common/image/transform.h"

int main(int count, char** arguments) {
  return vitrine::guarded_main("make_view", [&] {
    const std::vector<std::string> words(arguments + 1, arguments + count);
    const auto number = [&](std::size_t i) { return std::stoi(words.at(i)); };
    const std::string content = vitrine::read_file(words.at(1));
    const vitrine::Image image =
        vitrine::decode_image(std::as_bytes(std::span(content)), words[1],
                              {.apply_orientation = words[0] == "upright", .scale_grey16 = words[0] == "scaled"});
    vitrine::Image out = image;
    if (words[0] == "crop")
      out =
          vitrine::crop_resize(image, number(2), number(3), number(4), number(5), number(6), number(7), number(8) != 0);
    else if (words[0] == "centre")
      out = vitrine::centre_view(
          image, number(2),
          {std::stod(words.at(3)), vitrine::CropMode::kCentre, vitrine::resample_filter(words.at(4)).value()});
    else if (words[0] == "brightness")
      vitrine::adjust_brightness(out.rgb, std::stof(words.at(2)));
    else if (words[0] == "contrast")
      vitrine::adjust_contrast(out.rgb, std::stof(words.at(2)));
    else if (words[0] == "saturation")
      vitrine::adjust_saturation(out.rgb, std::stof(words.at(2)));
    else if (words[0] == "hue")
      vitrine::adjust_hue(out.rgb, std::stof(words.at(2)));
    else if (words[0] != "decode" && words[0] != "upright" && words[0] != "scaled")
      vitrine::fail("unknown word ", words[0], "; one of those at the head of make_view.cpp is expected");
    std::fwrite(out.rgb.data(), 1, out.rgb.size(), stdout);
    return 0;
  });
}
