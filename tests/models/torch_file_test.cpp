// Crafted and damaged files of torch.save: archives, pickles and the tensors in them.
#include <ATen/ATen.h>

#include "common/models/weights/torch_file.h"

#include <memory>

#include "common/base/error.h"
#include "common/models/weights/pickle.h"
#include "common/models/weights/torch_container.h"
#include "common/models/weights/zip_archive.h"
#include "tests/support/message.h"
#include "tests/support/testing.h"
#include "tests/support/zip_bytes.h"

using namespace vitrine;
using vitrine::testing::has;
using vitrine::testing::little_endian;
using vitrine::testing::message_of;
using vitrine::testing::pickled_tensor;
using vitrine::testing::TemporaryDirectory;
using vitrine::testing::write_whole;
using vitrine::testing::zip_bytes;
using std::string_literals::operator""s;

namespace {

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

StoredTensors read_text(const std::string& bytes, std::vector<std::string>* notes = nullptr) {
  const TemporaryDirectory directory;
  write_whole(directory / "a.pth", bytes);
  std::vector<std::string> unused;
  return read_torch_file(std::make_shared<const MappedFile>(directory / "a.pth"), "a.pth",
                         notes != nullptr ? *notes : unused);
}

std::string refusal_of(const std::string& bytes) {
  const std::string message = message_of([&] { read_text(bytes); });
  CHECK(message.starts_with("a.pth"));
  CHECK(message.find('\n') == std::string::npos);
  return message;
}

std::string checkpoint(const std::string& pickle, const std::string& storage = std::string(8, '\0')) {
  return zip_bytes({{"archive/data.pkl", pickle}, {"archive/byteorder", "little"}, {"archive/data/0", storage}});
}

/// A pickle of {"a.b": tensor} with these sizes and strides over a FloatStorage of `elements`, from `offset`.
std::string strided(const std::string& elements, const std::string& offset, const std::string& sizes,
                    const std::string& strides, const std::string& type = "torch\nFloatStorage") {
  return "\x80\2}X\3\0\0\0a.bctorch._utils\n_rebuild_tensor_v2\n((X\7\0\0\0storagec"s + type + "\nX\1\0\0\0"s +
         "0X\3\0\0\0cpu"s + elements + "tQ" + offset + sizes + strides + "\x89" + "N" + "tRs.";
}
const std::string kTwo = "K\2", kZero = "K\0"s, kHuge = "\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f";

std::string pickle_refusal(const std::string& bytes) {
  return message_of([&] { Pickle(bytes_of(bytes), "p"); });
}

}  // namespace

TEST_CASE("a file made by hand is read, with zip64 and without, so that the refusals below have their own reasons") {
  const at::Tensor expected = at::tensor({1.0f, -2.0f});
  const std::string storage(static_cast<const char*>(expected.data_ptr()), 8);
  for (const bool zip64 : {false, true}) {
    std::vector<std::string> notes;
    const StoredTensors tensors =
        read_text(zip_bytes({{"x/data.pkl", pickled_tensor("a.b", 2)}, {"x/data/0", storage}}, zip64), &notes);
    REQUIRE(tensors.size() == 1);
    CHECK(at::equal(tensors.at("a.b").tensor, expected));
    CHECK(notes.empty());
  }
  CHECK(
      at::equal(read_text(checkpoint(strided(kTwo, kZero, "K\2\x85", "K\1\x85"), storage)).at("a.b").tensor, expected));
}

TEST_CASE("a misaligned storage is read") {
  const at::Tensor expected = at::tensor({1.0f, -2.0f});
  const std::string storage(static_cast<const char*>(expected.data_ptr()), 8);
  for (const char* folder : {"x", "xy", "xyz", "xyzw"}) {
    const std::string name = folder;
    const StoredTensors tensors =
        read_text(zip_bytes({{name + "/data.pkl", pickled_tensor("a.b", 2)}, {name + "/data/0", storage}}));
    CHECK(at::equal(tensors.at("a.b").tensor, expected));
  }
}

TEST_CASE("a file cut anywhere is refused") {
  const std::string whole = checkpoint(pickled_tensor("a.b", 2));
  for (std::size_t length = 4; length < whole.size(); ++length) CHECK(refusal_of(whole.substr(0, length)) != "");
}

TEST_CASE("damaged archives are refused with the reason") {
  const std::string whole = checkpoint(pickled_tensor("a.b", 2));
  CHECK(has(refusal_of("PK\3\4" + std::string(100, '\0')), "is cut short"));
  const auto changed = [&](std::string_view before, std::size_t skip, const std::string& bytes) {
    std::string out = whole;
    const std::size_t at = out.rfind(before) + skip;
    return out.replace(at, bytes.size(), bytes);
  };
  CHECK(has(refusal_of(changed("PK\5\6", 16, "\xf0\xff\xff\x0f")), "its directory would lie at bytes"));
  CHECK(has(refusal_of(changed("PK\1\2", 0, "PK\1\3")), "entry 2 of 3 in its directory is damaged"));
  CHECK(has(refusal_of(changed("PK\1\2", 28, "\xff\xff")), "entry 2 of 3 in its directory is damaged"));
  CHECK(
      has(refusal_of(changed("PK\1\2", 42, "\xff\xff\xff\x0f")), "\"archive/data/0\" is not where the directory says"));
  CHECK(has(refusal_of(changed("PK\1\2", 42, "\xff\xff\xff\xff")), "\"archive/data/0\" has no sizes"));
  CHECK(has(refusal_of(changed("PK\1\2", 20, "\x00\x01\0\0\x00\x01\0\0"s)), "would lie at bytes"));
  CHECK(has(refusal_of(changed("PK\1\2", 20, "\4\0\0\0"s)), "is stored in 4 bytes but has 8"));
  CHECK(has(refusal_of(changed("PK\1\2", 10, "\x08")), "is compressed (method 8)"));
  CHECK(has(refusal_of(changed("PK\1\2", 8, "\1")), "is encrypted"));
  CHECK(has(refusal_of(changed("PK\1\2", 16, "\1\2\3\4")), "the checksum of entry \"archive/data/0\" is wrong"));
  CHECK(has(refusal_of(zip_bytes({{"x/data.pkl", ""}, {"x/data.pkl", ""}})), "has two entries \"x/data.pkl\""));
  CHECK(has(refusal_of(zip_bytes({{"x/model.npy", ""}})), "is a NumPy archive"));
  CHECK(has(refusal_of(zip_bytes({{"x/byteorder", "big"}, {"x/data.pkl", "N."}})), "big-endian"));
  std::string far = zip_bytes({{"x/data.pkl", "N."}}, true);
  far.replace(far.rfind("PK\6\7") + 8, 8, std::string(8, '\x7f'));
  CHECK(has(refusal_of(far), "zip64 record"));
}

TEST_CASE("the checksum of an entry is CRC-32") {
  std::string archive = zip_bytes({{"a", "123456789"}, {"b", ""}});
  archive.replace(archive.find("PK\1\2") + 16, 4, "\x26\x39\xf4\xcb");  // the check value of its definition
  const ZipArchive zip(bytes_of(archive), "z");
  CHECK(zip.read("a").size() == 9);
  archive[archive.find("PK\1\2") + 16] ^= 1;
  CHECK(has(message_of([&] { ZipArchive(bytes_of(archive), "z").read("a"); }), "the checksum of entry \"a\" is wrong"));
}

TEST_CASE("pickles are read as data") {
  const std::string bytes = "\x80\4\x95\0\0\0\0\0\0\0\0(}(X\1\0\0\0kK\7\x8c\1m\x8a\1\xffu]((I"s;
  CHECK(has(pickle_refusal(bytes), "instruction 73"));
  const std::string good = "\x80\4}(X\1\0\0\0kK\7\x8c\1m\x8a\2\xfe\xffX\1\0\0\0gG\x3f\xf8\0\0\0\0\0\0X\1\0\0\0k\x88u."s;
  const std::string longer = good + "rest";
  const Pickle pickle(bytes_of(longer), "p");
  CHECK(pickle.size() == good.size());
  CHECK((pickle.find(pickle.root(), "k")->kind == PickleNode::Kind::kBool));  // the last of equal keys
  CHECK(pickle.find(pickle.root(), "m")->integer == -2);
  CHECK(pickle.find(pickle.root(), "g")->number == 1.5);
  CHECK(pickle.find(pickle.root(), "x") == nullptr);
  const std::string circle = "\x80\2]q\0h\0a."s;  // a list that contains itself
  const Pickle list(bytes_of(circle), "p");
  CHECK(&list[list.root().items.at(0)] == &list.root());
}

TEST_CASE("damaged pickles are refused with the reason") {
  CHECK(has(pickle_refusal("\x80\2"), "ends early"));
  CHECK(has(pickle_refusal("X\xff\xff\xff\xff"), "ends early"));
  CHECK(has(pickle_refusal("cos\nsystem"), "ends early"));
  CHECK(has(pickle_refusal("."), "more or less than one value"));
  CHECK(has(pickle_refusal("NN."), "more or less than one value"));
  CHECK(has(pickle_refusal("0."), "takes a value that is not there"));
  CHECK(has(pickle_refusal("N(0R."), "takes a value that is not there"));
  CHECK(has(pickle_refusal("N(\x85."), "takes a value that is not there"));
  CHECK(has(pickle_refusal("Nt."), "a mark that is not there"));
  CHECK(has(pickle_refusal("h\1."), "recalls a value"));
  CHECK(has(pickle_refusal("q\1."), "changes a value that is not there"));
  CHECK(has(pickle_refusal("NNa."), "adds items to a value that has none"));
  CHECK(has(pickle_refusal("](NNu."), "adds items to a value that has none"));
  CHECK(has(pickle_refusal("}(Nu."), "a key without a value"));
  CHECK(has(pickle_refusal("(Nd."), "a key without a value"));
  CHECK(has(pickle_refusal("NN\x93."), "names a global by no text"));
  CHECK(has(pickle_refusal("c" + std::string(300, 'a') + "\nb\n."), "256 letters"));
  CHECK(has(pickle_refusal("(ios\nsystem\n."), "instruction 105"));
  CHECK(has(pickle_refusal("P1\n."), "instruction 80"));
}

TEST_CASE("what a pickle calls is refused by name unless it is known to be harmless") {
  CHECK(has(refusal_of(checkpoint("cos\nsystem\nX\2\0\0\0ls\x85R."s)), "its pickle names os.system"));
  CHECK(has(refusal_of(checkpoint("cbuiltins\neval\n."s)), "names builtins.eval"));
  CHECK(has(refusal_of(checkpoint("X\2\0\0\0osX\6\0\0\0system\x93."s)), "names os.system"));
  CHECK(has(refusal_of(checkpoint("ctorch\nload\n."s)), "names torch.load"));
  CHECK(has(refusal_of(checkpoint("ctorch.storage\n_load_from_bytes\n."s)), "names torch.storage._load_from_bytes"));
}

TEST_CASE("tensors that reach out of their storages are refused") {
  const auto refused = [](const std::string& pickle) { return refusal_of(checkpoint(pickle)); };
  const char* beyond = "reaches beyond its storage";
  CHECK(has(refused(strided(kTwo, kZero, "K\3\x85", "K\1\x85")), beyond));
  CHECK(has(refused(strided(kTwo, "K\1", "K\2\x85", "K\1\x85")), beyond));
  CHECK(has(refused(strided(kTwo, kZero, "K\2\x85", "K\2\x85")), beyond));
  CHECK(has(refused(strided(kTwo, kHuge, "K\1\x85", "K\1\x85")), beyond));
  CHECK(has(refused(strided(kTwo, kZero, "K\2\x85", kHuge + "\x85")), beyond));
  CHECK(has(refused(strided(kTwo, kZero, kHuge + kHuge + "\x86", "K\0K\0\x86"s)), beyond));
  CHECK(has(refused(strided(kHuge, kZero, "K\2\x85", "K\1\x85")), beyond));
  CHECK(has(refused(strided(kTwo, kZero, "K\2\x85", "K\1K\1\x86")), "more sizes than strides"));
  CHECK(has(refused(strided(kTwo, kZero, "N", "K\1\x85")), "not a list of numbers"));
  CHECK(has(refused(strided(kTwo, kZero, "J\xff\xff\xff\xff\x85", "K\1\x85")), "non-negative"));
  CHECK(has(refused(strided(kTwo, kZero, "\x8a\1\xff\x85"s, "K\1\x85")), "non-negative"));  // of one byte
  CHECK(has(refused(strided(kTwo, "N", "K\2\x85", "K\1\x85")), "offset"));
  CHECK(has(refused(strided("N", kZero, "K\2\x85", "K\1\x85")), "no storage of its own"));
  CHECK(has(refused(strided("K\3", kZero, "K\2\x85", "K\1\x85")), "storage \"0\" has 8 bytes, its tensors need 12"));
  CHECK(has(refused(strided(kTwo, kZero, "\x8a\4\0\0\0\x40\x85"s, "K\0\x85"s)), "repeat values"));
  CHECK(has(refusal_of(zip_bytes({{"x/data.pkl", pickled_tensor("a.b", 2)}})), "has no entry \"x/data/0\""));
  CHECK(has(refused("\x80\2}X\3\0\0\0a.bctorch._utils\n_rebuild_tensor_v2\n)Rs."s), "no arguments"));
  CHECK(has(refused("\x80\2}X\3\0\0\0a.bctorch._utils\n_rebuild_tensor_v2\nNRs."s), "no arguments"));
  CHECK(has(refused("\x80\2}X\3\0\0\0a.bctorch._utils\n_rebuild_tensor_v2\nK\1\x85Rs."s), "too few arguments"));
  CHECK(has(refused("\x80\2}X\3\0\0\0a.bctorch._utils\n_rebuild_parameter\nN\x85Rs."s), "holds no tensor"));
}

TEST_CASE("a type that cannot be read is an error only of the tensor") {
  const StoredTensors tensors =
      read_text(checkpoint(strided("K\1", kZero, "K\1\x85", "K\1\x85", "torch\nComplexFloatStorage")));
  CHECK_FALSE(tensors.at("a.b").tensor.defined());
  CHECK(tensors.at("a.b").unusable == "has the type torch.ComplexFloatStorage");
}

TEST_CASE("what holds no state dict is refused, also where it contains itself") {
  CHECK(has(refusal_of(checkpoint("N.")), "no dictionary of tensors"));
  CHECK(has(refusal_of(checkpoint("}.")), "an empty dictionary"));
  CHECK(has(refusal_of(checkpoint("}X\5\0\0\0epochK\1s."s)), "its keys are \"epoch\""));
  CHECK(has(refusal_of(checkpoint("}q\0(X\5\0\0\0modelh\0X\5\0\0\0stateh\0u."s)), "holds no state dict"));
  // TorchScript modules whose attributes are each other, twice.
  CHECK(has(refusal_of(checkpoint("c__torch__.M\nN\n)\x81q\0}(X\1\0\0\0ah\0X\1\0\0\0bh\0ub."s)), "contain each other"));
}

TEST_CASE("wrappers around a state dict are taken away up to eight, however many there are") {
  const auto wrapped = [](std::size_t wrappers) {
    const std::string whole = pickled_tensor("a.b", 2), inner = whole.substr(2, whole.size() - 3);
    std::string pickle = "\x80\2";
    for (std::size_t i = 0; i < wrappers; ++i) pickle += "}\x8c\3ema";
    return pickle + inner + std::string(wrappers, 's') + ".";
  };
  CHECK(read_text(checkpoint(wrapped(8))).contains("a.b"));
  CHECK(has(refusal_of(checkpoint(wrapped(9))), "its keys are \"ema\""));
  CHECK(has(refusal_of(checkpoint(wrapped(100'000))), "its keys are \"ema\""));
}

TEST_CASE("the form before PyTorch 1.6, cut or damaged anywhere") {
  const std::string magic = "\x80\2\x8a\nl\xfc\x9c\x46\xf9 j\xa8P\x19."s, protocol = "\x80\2M\xe9\3."s,
                    machine = "\x80\2}X\x0d\0\0\0little_endian\x88s."s, keys = "\x80\2]X\1\0\0\0"s + "0a.";
  const std::string head = magic + protocol + machine + pickled_tensor("a.b", 2);
  const std::string whole = head + keys + little_endian(2, 8) + std::string(8, '\0');
  CHECK(read_text(whole).at("a.b").tensor.numel() == 2);
  for (std::size_t length = magic.size(); length < whole.size(); ++length)
    CHECK(refusal_of(whole.substr(0, length)) != "");
  CHECK(has(refusal_of(magic + "\x80\2M\xe8\3."s), "another protocol"));
  CHECK(has(refusal_of(magic + protocol + "\x80\2}."), "byte order"));
  CHECK(has(refusal_of(magic + protocol + "\x80\2}X\x0d\0\0\0little_endian\x89s."s), "big-endian"));
  CHECK(has(refusal_of(head + "\x80\2]X\1\0\0\0"s + "1a."), "lists a storage that no tensor has"));
  CHECK(has(refusal_of(head + "N."), "no list of storages"));
  CHECK(has(refusal_of(head + keys + little_endian(~0ull, 8) + std::string(8, '\0')), "is cut short"));
  CHECK(has(refusal_of(head + keys + little_endian(1, 8) + std::string(8, '\0')), "has 4 bytes, its tensors need 8"));
  CHECK(has(refusal_of(head + "\x80\2]."), "has no storage \"0\""));
}
