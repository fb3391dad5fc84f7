// The formats that hold weights without a graph.
#include <ATen/ATen.h>

#include <caffe2/serialize/inline_container.h>

#include <memory>
#include <string_view>

#include "common/base/error.h"
#include "common/kernels/normalise.h"
#include "common/models/weights/load.h"
#include "common/models/weights/weights.h"
#include "tools/commands/export/archive_file.h"
#include "tools/commands/export/formats.h"
#include "train/run/checkpoint.h"

namespace vitrine {
namespace {

// The forward of a network of the student's architecture with the weights in `file`.
Forward forward_of_weights(StoredStudent student, Tensors weights, const std::filesystem::path& file) {
  student.file = file;
  student.weights = std::move(weights);
  const auto network = std::make_shared<Network>(network_of(student, at::kCPU));
  const auto mean = rgb_triplet(student.record.mean, "mean"), stddev = rgb_triplet(student.record.stddev, "std");
  return [network, mean, stddev](const at::Tensor& pictures) {
    return network->forward(normalise_pictures(pictures, mean, stddev)).logits;
  };
}

// Opcodes of the pickle protocol 2 (Python's Lib/pickletools.py).
class PickleWriter {
 public:
  PickleWriter() { bytes_ = "\x80\x02"; }
  void global(std::string_view module, std::string_view name) { put('c', module, "\n", name, "\n"); }
  void word(std::string_view text) { put('X', little_endian(text.size(), 4), text); }
  void integer(std::int64_t value) { put("\x8a\x08", little_endian(static_cast<std::uint64_t>(value), 8)); }
  void integers(at::IntArrayRef values) {
    mark();
    for (const std::int64_t value : values) integer(value);
    tuple();
  }
  void mark() { put('('); }
  void tuple() { put('t'); }
  void persistent() { put('Q'); }
  void call() { put('R'); }
  void items() { put('u'); }
  void no() { put("\x89"); }
  void ordered_dictionary() {
    global("collections", "OrderedDict");
    put(")R");
  }
  std::string finished() && {
    put('.');
    return std::move(bytes_);
  }

 private:
  template <class... Parts>
  void put(const Parts&... parts) {
    ((bytes_ += parts), ...);
  }
  static std::string little_endian(std::uint64_t number, int size) {
    std::string out;
    for (int i = 0; i < size; ++i) out += static_cast<char>(number >> (8 * i));
    return out;
  }
  std::string bytes_;
};

const char* storage_of(at::ScalarType type) {
  switch (type) {
    case at::kFloat:
      return "FloatStorage";
    case at::kLong:
      return "LongStorage";
    default:
      throw std::logic_error(text("write_pth: a network has a tensor of type ", at::toString(type)));
  }
}

// As torch.save pickles a state dict whose tensors each have a storage, numbered in order.
std::string pickled(const Tensors& tensors) {
  PickleWriter out;
  out.ordered_dictionary();
  out.mark();
  std::size_t number = 0;
  for (const auto& [name, tensor] : tensors) {
    out.word(name);
    out.global("torch._utils", "_rebuild_tensor_v2");
    out.mark();
    out.mark();
    out.word("storage");
    out.global("torch", storage_of(tensor.scalar_type()));
    out.word(std::to_string(number++));
    out.word("cpu");
    out.integer(tensor.numel());
    out.tuple();
    out.persistent();
    out.integer(0);
    out.integers(tensor.sizes());
    out.integers(tensor.strides());
    out.no();  // requires_grad
    out.ordered_dictionary();
    out.tuple();
    out.call();
  }
  out.items();
  return std::move(out).finished();
}

void write_archive(const Tensors& tensors, const std::string& record, const std::filesystem::path& path) {
  ArchiveFile file(path);
  caffe2::serialize::PyTorchStreamWriter writer(
      [&](const void* bytes, std::size_t size) { return file.write(bytes, size); });
  const std::string pickle = pickled(tensors);
  writer.writeRecord("data.pkl", pickle.data(), pickle.size());
  writer.writeRecord("byteorder", "little", 6);
  std::size_t number = 0;
  for (const auto& [name, tensor] : tensors)
    writer.writeRecord(text("data/", number++), tensor.const_data_ptr(), tensor.nbytes());
  writer.writeRecord(kRecordEntry, record.data(), record.size());
  writer.writeEndOfFile();
  file.close();
}

}  // namespace

Forward write_safetensors(const StoredStudent& student, const std::filesystem::path& path) {
  save_safetensors(path, student.weights, description_of(student, GraphInput::kFloat));
  return forward_of_weights(student, load_safetensors(path), path);
}

Forward write_pth(const StoredStudent& student, const std::filesystem::path& path) {
  Tensors tensors;
  for (const auto& [name, tensor] : student.weights) tensors.emplace(name, tensor.contiguous());
  write_archive(tensors, as_json(description_of(student, GraphInput::kFloat)), path);
  return forward_of_weights(student, read_weights(path).tensors, path);
}

}  // namespace vitrine
