// classify_picture MODEL PICTURE: the five likeliest classes. MODEL: a run's directory, or weights that vitrine-export
// wrote.
#include <cstdio>
#include <filesystem>
#include <vector>

#include "common/base/error.h"
#include "tools/commands/classify/classifier.h"

int main(int argc, char** argv) {
  return vitrine::guarded_main("classify_picture", [&] {
    if (argc != 3) vitrine::fail("expected a model and a picture: classify_picture RUN photo.jpg");
    vitrine::Classifier classifier(vitrine::read_student(argv[1]), at::kCPU, "");
    const std::vector<std::filesystem::path> pictures{argv[2]};
    const vitrine::ClassifiedPicture picture = classifier.classify(pictures, 5).front();
    if (!picture.error.empty()) vitrine::fail(picture.error);
    for (const vitrine::Guess& guess : picture.guesses)
      std::printf("%5.1f %%  %s\n", 100 * guess.probability, classifier.name_of(guess.index).c_str());
    return 0;
  });
}
