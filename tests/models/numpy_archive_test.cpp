// Crafted and damaged archives of np.savez.
#include <ATen/ATen.h>

#include "common/models/weights/numpy_archive.h"

#include <memory>

#include "common/base/error.h"
#include "common/models/weights/weights.h"
#include "tests/support/message.h"
#include "tests/support/testing.h"
#include "tests/support/zip_bytes.h"

using namespace vitrine;
using vitrine::testing::has;
using vitrine::testing::message_of;
using vitrine::testing::numpy_array;
using vitrine::testing::TemporaryDirectory;
using vitrine::testing::write_whole;
using vitrine::testing::zip_bytes;
using std::string_literals::operator""s;

namespace {

std::string floats(std::size_t count) {
  std::string out;
  for (std::size_t i = 0; i < count; ++i) {
    const auto value = static_cast<float>(i);
    out.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  return out;
}

StoredTensors read_arrays(const std::string& bytes) {
  const TemporaryDirectory directory;
  write_whole(directory / "a.npz", bytes);
  return read_numpy_archive(std::make_shared<const MappedFile>(directory / "a.npz"), "a.npz");
}

StoredTensor read_array(const std::string& name, const std::string& bytes) {
  StoredTensors all = read_arrays(zip_bytes({{name + ".npy", bytes}}));
  REQUIRE(all.size() == 1);
  return all.begin()->second;
}

std::string refusal_of_array(const std::string& bytes) {
  return message_of([&] { read_array("a/b", bytes); });
}

bool has_values(const at::Tensor& tensor, at::IntArrayRef sizes, const std::vector<float>& values) {
  return at::equal(tensor, at::tensor(values).reshape(sizes));
}

}  // namespace

TEST_CASE("arrays become tensors of PyTorch's layout") {
  const std::string six = numpy_array("<f4", false, "(2, 3)", floats(6));
  CHECK(has_values(read_array("a", six).tensor, {2, 3}, {0, 1, 2, 3, 4, 5}));
  CHECK(has_values(read_array("a", numpy_array("<f4", true, "(2, 3)", floats(6))).tensor, {2, 3}, {0, 2, 4, 1, 3, 5}));
  CHECK(has_values(read_array("a/kernel", six).tensor, {3, 2}, {0, 3, 1, 4, 2, 5}));
  CHECK(has_values(read_array("a/bias", six).tensor, {6}, {0, 1, 2, 3, 4, 5}));
  CHECK(has_values(read_array("query/kernel", numpy_array("<f4", false, "(3, 1, 2)", floats(6))).tensor, {2, 3},
                   {0, 2, 4, 1, 3, 5}));
  CHECK(has_values(read_array("x/out/kernel", numpy_array("<f4", false, "(1, 2, 3)", floats(6))).tensor, {3, 2},
                   {0, 3, 1, 4, 2, 5}));
  CHECK(has_values(read_array("x/kernel", numpy_array("<f4", false, "(1, 2, 3, 1)", floats(6))).tensor, {1, 3, 1, 2},
                   {0, 3, 1, 4, 2, 5}));
  CHECK(read_array("a", numpy_array("<f4", false, "()", floats(1))).tensor.dim() == 0);
  CHECK(read_array("a", numpy_array("<f4", false, "(0, 3)", "")).tensor.numel() == 0);
  CHECK(read_arrays(zip_bytes({{"a/scale.npy", six}, {"b/c.npy", six}, {"readme.txt", "x"}})).contains("a.weight"));
}

TEST_CASE("arrays of other types are named when they are needed") {
  CHECK(read_array("a", numpy_array(">f4", false, "(1,)", floats(1))).unusable == "has dtype >f4");
  CHECK(read_array("a", numpy_array("|V2", false, "(2,)", floats(1))).unusable == "has dtype |V2");
  std::string fields = numpy_array("x", false, "(1,)", floats(1));
  fields.replace(fields.find("'x'"), 3, "[1]");
  CHECK(read_array("a", fields).unusable == "has dtype a structure");
}

TEST_CASE("damaged arrays and archives are refused") {
  const std::string whole = numpy_array("<f4", false, "(2, 3)", floats(6));
  const char* const damaged = "a.npz: the header of its array a/b cannot be read; the file is damaged, fetch it again";
  for (const std::string& bytes :
       {""s, whole.substr(0, 20), "x" + whole.substr(1), whole.substr(0, whole.size() - 1), whole + "x",
        numpy_array("<f4", false, "(2, -3)", floats(6)), numpy_array("<f4", false, "(2, 3", floats(6)),
        numpy_array("<f4", false, "(9999999, 9999999)", floats(6)),
        numpy_array("<f4", true, "(0, 9999999, 9999999)", ""),
        numpy_array("<f4", false, "(1, 1, 1, 1, 1, 1, 1, 1, 1)", floats(1)),
        numpy_array("<f4", false, "", floats(1))}) {
    CAPTURE(bytes);
    CHECK(refusal_of_array(bytes) == damaged);
  }
  const std::string archive = zip_bytes({{"a.npy", whole}}),
                    checkpoint = zip_bytes({{"x/data.pkl", ""}, {"x/a.npy", ""}});
  CHECK(is_numpy_archive(std::as_bytes(std::span(archive))));
  CHECK_FALSE(is_numpy_archive(std::as_bytes(std::span(checkpoint))));
  CHECK(has(message_of([&] { read_arrays(archive.substr(0, archive.size() - 1)); }), "is cut short"));
  std::string compressed = archive;
  compressed[archive.rfind("PK\1\2") + 10] = 8;
  CHECK(has(message_of([&] { read_arrays(compressed); }),
            "is compressed (method 8), which is not read; save the weights without compression"));
}

TEST_CASE("a directory's archive is found, after files of other formats") {
  const TemporaryDirectory directory;
  write_whole(directory / "ViT.npz", zip_bytes({{"a/kernel.npy", numpy_array("<f4", false, "(2, 3)", floats(6))}}));
  CHECK(read_weights(directory.path()).tensors.at("a.weight").size(0) == 3);
  write_whole(directory / "other.pth", "x");
  CHECK(find_weight_files(directory.path()).front().filename() == "other.pth");
}
