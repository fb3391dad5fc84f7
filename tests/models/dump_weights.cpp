// What read_weights() gives, for the Python peers to judge.
//   dump_weights IN OUT      IN: a weight file or directory; OUT: safetensors with timm's names, whose metadata has
//                            "naming", "sha256" and "notes", a line for each
#include <torch/torch.h>

#include <string>

#include "common/base/error.h"
#include "common/models/weights/weights.h"

int main(int argc, char** argv) {
  using namespace vitrine;
  return guarded_main("dump_weights", [&] {
    if (argc != 3) fail("dump_weights takes what its lines in dump_weights.cpp say");
    const WeightFiles weights = read_weights(argv[1]);
    std::string notes;
    for (const std::string& note : weights.notes) notes += note + "\n";
    save_safetensors(argv[2], weights.tensors,
                     {{"naming", weights.naming}, {"sha256", weights.sha256}, {"notes", notes}});
    return 0;
  });
}
