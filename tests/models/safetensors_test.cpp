#include <ATen/ATen.h>

#include "common/models/weights/safetensors.h"

#include <cstring>

#include "common/base/error.h"
#include "tests/support/message.h"
#include "tests/support/testing.h"

using namespace vitrine;
using vitrine::testing::has;
using vitrine::testing::read_whole;
using vitrine::testing::TemporaryDirectory;
using vitrine::testing::write_whole;

namespace {

std::string file_of(const std::string& header, std::size_t data_bytes) {
  const std::uint64_t length = header.size();
  std::string bytes(sizeof length, '\0');
  std::memcpy(bytes.data(), &length, sizeof length);
  return bytes + header + std::string(data_bytes, '\1');
}

/// The message with which a file of these bytes is refused; "" when it is not.
std::string refusal(const std::string& bytes) {
  const TemporaryDirectory directory;
  write_whole(directory / "weights.safetensors", bytes);
  try {
    load_safetensors(directory / "weights.safetensors");
  } catch (const Error& error) {
    const std::string message = error.what();
    CHECK(has(message, "weights.safetensors"));
    return message;
  }
  return "";
}

}  // namespace

TEST_CASE("tensors and metadata come back, whatever their layout in memory was") {
  const TemporaryDirectory directory;
  const Tensors tensors{{"half", at::randn({3}).to(at::kHalf)},
                        {"transposed", at::randn({2, 3}).t()},
                        {"bytes", at::arange(3).to(at::kByte)}};
  save_safetensors(directory / "sub/a", tensors, {{"key", "value"}});
  const Tensors loaded = load_safetensors(directory / "sub/a");
  REQUIRE(loaded.size() == tensors.size());
  for (const auto& [name, tensor] : tensors) {
    CHECK((loaded.at(name).scalar_type() == tensor.scalar_type()));
    CHECK(at::equal(loaded.at(name), tensor));
  }
  CHECK(load_safetensors_metadata(directory / "sub/a") == std::map<std::string, std::string>{{"key", "value"}});
  CHECK_THROWS_AS(save_safetensors(directory / "b", {{"x", at::zeros({1}, at::kDouble)}}), Error);
  CHECK_FALSE(std::filesystem::exists(directory / "b"));
}

TEST_CASE("a sound file made by hand is read, so that the refusals below have their own reasons") {
  CHECK(refusal(file_of(R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8)) == "");
  CHECK(refusal(file_of(R"({"__metadata__":{"a":"b"}})", 0)) == "");
}

TEST_CASE("damaged files are refused with the reason") {
  CHECK(has(refusal("1234"), "eight bytes"));
  CHECK(has(refusal(std::string(8, '\xff')), "is not a safetensors file"));
  CHECK(has(refusal(file_of("{", 0)), "JSON"));
  CHECK(has(refusal(file_of("[]", 0)), "object"));
  CHECK(has(refusal(file_of(R"({"x":)" + std::string(200000, '[') + std::string(200000, ']') + "}", 0)), "levels"));
  CHECK(has(refusal(file_of(R"({"x":3})", 0)), "dtype"));
  CHECK(has(refusal(file_of(R"({"__metadata__":{"a":1}})", 0)), "string"));
  CHECK(has(refusal(file_of(R"({"x":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}})", 8)), "F64"));
  CHECK(has(refusal(file_of(R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 7)), "cut short"));
  CHECK(has(refusal(file_of(R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 9)), "need 8"));
  CHECK(has(refusal(file_of(R"({"x":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", 8)), "contradict"));
  CHECK(has(refusal(file_of(R"({"x":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})", 8)), "non-negative integer"));
  CHECK(
      has(refusal(file_of(R"({"x":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}})", 8)), "non-negative integer"));
  CHECK(has(refusal(file_of(R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})", 8)), "8 to 0"));
  // No bytes, but strides that no tensor has.
  CHECK(
      has(refusal(file_of(
              R"({"x":{"dtype":"F32","shape":[0,4611686018427387904,4611686018427387904],"data_offsets":[0,0]}})", 0)),
          "contradict"));
  // 2^62 + 2 floats wrap to 8 bytes.
  CHECK(has(refusal(file_of(R"({"x":{"dtype":"F32","shape":[4611686018427387906],"data_offsets":[0,8]}})", 8)),
            "contradict"));
  const std::string one = R"("x":{"dtype":"U8","shape":[4],"data_offsets":[0,4]})";
  CHECK(has(refusal(file_of("{" + one + R"(,"y":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}})", 6)), "overlap"));
  CHECK(has(refusal(file_of("{" + one + R"(,"y":{"dtype":"U8","shape":[4],"data_offsets":[5,9]}})", 9)), "gaps"));
}

TEST_CASE("a file cut anywhere is refused") {
  const TemporaryDirectory directory;
  save_safetensors(directory / "a", {{"x", at::ones({2, 2})}, {"y", at::ones({3})}});
  const std::string whole = read_whole(directory / "a");
  for (std::size_t length = 0; length < whole.size(); ++length) CHECK(refusal(whole.substr(0, length)) != "");
}
