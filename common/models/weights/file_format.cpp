#include "common/models/weights/file_format.h"

#include <algorithm>
#include <cctype>
#include <string_view>

#include "common/base/error.h"

namespace vitrine {
namespace {

using std::string_view_literals::operator""sv;

constexpr std::size_t kSearchedBytes = 1 << 16;  // at either end of an archive, where its names are

constexpr const char* kFromTorch =
    "convert it in Python: safetensors.torch.save_file({k: v.contiguous() for k, v in state_dict.items()}, "
    "\"model.safetensors\"), where state_dict is torch.load(FILE, map_location=\"cpu\"), or what that holds under "
    "\"model\" or \"state_dict\"";
constexpr const char* kOtherRuntime = "give the weights that it was made from, as a .safetensors or .pth file";
constexpr const char* kGiveWeights = "give a file of weights";

/// ASCII text, such as an error message saved in place of a file.
bool is_text(std::string_view head) {
  return std::ranges::all_of(head,
                             [](char c) { return (c >= 0x20 && c < 0x7f) || c == '\n' || c == '\r' || c == '\t'; });
}

std::string first_words(std::string_view head) {
  head = head.substr(0, std::min(head.find_first_of("\r\n"), std::size_t{60}));
  return std::string(head);
}

ForeignFormat zip_archive(std::string_view whole) {
  const std::string_view head = whole.substr(0, kSearchedBytes);
  const std::string_view tail = whole.substr(whole.size() - std::min(whole.size(), kSearchedBytes));
  const auto names = [&](std::string_view name) {
    return head.find(name) != std::string_view::npos || tail.find(name) != std::string_view::npos;
  };
  if (names("constants.pkl") && names("/code/"))
    return {"is a TorchScript module", "save its state_dict() with safetensors.torch.save_file"};
  if (names("/archive_format")) return {"is a model of torch.export (.pt2)", kOtherRuntime};
  if (names("/data.pkl")) return {"is a PyTorch checkpoint (torch.save), not a safetensors file", kFromTorch};
  if (names(".weights.h5")) return {"is a Keras model", kOtherRuntime};
  if (names(".npy")) return {"is a NumPy archive (.npz)", "save its arrays with safetensors.numpy.save_file"};
  return {"is a zip archive", "unpack it and give the weight file in it"};
}

ForeignFormat text_file(std::string_view whole) {
  std::string_view head = whole.substr(0, 4096);
  if (head.starts_with("version https://git-lfs")) {
    const std::size_t size = head.find("\nsize ");
    const std::string bytes =
        size == std::string_view::npos ? "" : " of " + first_words(head.substr(size + 6)) + " bytes";
    return {"is a Git LFS pointer to a file" + bytes + ", not the file itself",
            "run git lfs pull in its directory, or download the file"};
  }
  head.remove_prefix(std::min(head.find_first_not_of(" \t\r\n"), head.size()));
  std::string start(head.substr(0, 512));
  std::ranges::transform(start, start.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (start.starts_with("<?xml") && start.find("<net") != std::string::npos)
    return {"is an OpenVINO model", kOtherRuntime};
  if (start.starts_with("<!doctype html") || start.starts_with("<html") || start.starts_with("<?xml") ||
      start.starts_with("<head"))
    return {"is a web page, not a weight file: the URL is that of a viewer or login page",
            "download the file itself (on Hugging Face the URL with /resolve/, not /blob/)"};
  if (start.starts_with("{") && whole.substr(0, kSearchedBytes).find("\"weight_map\"") != std::string_view::npos)
    return {"is the index of a model in several files",
            "as a teacher or model.weights give the folder, or its NAME.index.json with the parts beside it"};
  if (start.starts_with("{")) return {"is a JSON file, not a weight file", "give the weight file beside it"};
  if (head.size() > 8 && is_text(head))
    return {text("is a text file, not a weight file (\"", first_words(head), "\"), such as a download's error message"),
            "download it again, logged in where that is needed"};
  return {};
}

}  // namespace

ForeignFormat foreign_format(std::span<const std::byte> bytes) {
  const std::string_view whole(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (whole.empty()) return {"is empty", "fetch it again: its download did not begin, or its disk was full"};
  if (whole.size() > 8 && whole.substr(4, 4) == "\0\0\0\0"sv && whole[8] == '{') return {};
  const auto at = [&](std::size_t offset, std::string_view magic) {
    return whole.size() >= offset && whole.substr(offset).starts_with(magic);
  };
  if (at(0, "PK\3\4"sv) || at(0, "PK\5\6"sv)) return zip_archive(whole);
  if (at(0, "\x80\2\x8a\nl\xfc\x9c\x46\xf9 j\xa8P\x19"sv))
    return {"is a PyTorch checkpoint in the old format (torch.save before 1.6), not a safetensors file", kFromTorch};
  if (whole.size() > 2 && whole[0] == '\x80' && whole[1] >= 2 && whole[1] <= 5)
    return {"is a Python pickle, not a safetensors file or one of torch.save", kFromTorch};
  if (at(0, "\x89PNG\r\n\x1a\n"sv)) return {"is a PNG picture", kGiveWeights};
  if (at(0, "\xff\xd8\xff"sv)) return {"is a JPEG picture", kGiveWeights};
  if (at(0, "GIF8"sv) || (at(0, "RIFF"sv) && at(8, "WEBP"sv)) || at(0, "II*\0"sv) || at(0, "MM\0*"sv))
    return {"is a picture", kGiveWeights};
  if (at(4, "ftyp"sv)) return {"is a picture or a film", kGiveWeights};
  if (at(0, "%PDF-"sv)) return {"is a PDF document", kGiveWeights};
  if (at(0,
         "\x7f"
         "ELF"sv))
    return {"is a program or a library", kGiveWeights};
  if (at(0, "GGUF"sv) || at(0, "lmgg"sv) || at(0, "tjgg"sv))
    return {"is a GGUF file (llama.cpp), whose tensors are usually quantised", kOtherRuntime};
  if (at(0, "\x89HDF\r\n\x1a\n"sv)) return {"is an HDF5 file, as Keras saves weights", kOtherRuntime};
  if (at(4, "TFL3"sv)) return {"is a TFLite model", kOtherRuntime};
  if (at(0, "\x93NUMPY"sv)) return {"is a single NumPy array", "save the arrays with safetensors.numpy.save_file"};
  // ONNX protobuf: field 1 (ir_version, a small number), then field 2 (producer name).
  if (whole.size() > 12 && whole[0] == 8 && whole[1] > 0 && whole[1] < 32 && whole[2] == 0x12 && whole[3] > 0 &&
      is_text(whole.substr(4, std::min<std::size_t>(static_cast<std::size_t>(whole[3]), 8))))
    return {kOnnxWords, kOtherRuntime};
  if (at(0, "\x1f\x8b"sv) || at(0, "\x28\xb5\x2f\xfd"sv) || at(0, "\xfd\x37zXZ"sv) || at(0, "7z\xbc\xaf"sv) ||
      at(0, "Rar!"sv) || at(257, "ustar"sv))
    return {"is an archive", "unpack it and give the weight file in it"};
  return text_file(whole);
}

}  // namespace vitrine
