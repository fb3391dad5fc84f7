// Writes TensorBoard's event files: a TFRecord file (tensorflow/core/lib/io/record_writer.h) of Event messages
// (tensorflow/core/util/event.proto, framework/summary.proto), encoded here so that no Protocol Buffers are needed.
#ifndef VITRINE_TRAIN_RUN_EVENT_FILE_H_
#define VITRINE_TRAIN_RUN_EVENT_FILE_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vitrine {

/// One process's file in a directory of events. Every record is flushed, so that TensorBoard shows it at once. Not
/// thread-safe.
class EventFile {
 public:
  /// Creates the directory if it is missing, and a file with a name that sorts after those there. Where there are
  /// files, the new one begins with SessionLog START: TensorBoard then discards what the earlier ones have of
  /// `first_step` and later steps. Throws Error.
  EventFile(const std::filesystem::path& directory, std::uint64_t first_step);

  struct Scalar {
    std::string tag;
    double value = 0;  ///< stored as float
  };
  /// All throw Error when the file cannot be written.
  void add(std::uint64_t step, std::span<const Scalar> scalars);
  /// The distribution of `values` in up to 30 buckets of equal width; nothing without finite values.
  void add_histogram(std::uint64_t step, const std::string& tag, std::span<const double> values);
  /// `encoded`: a PNG or JPEG file of an RGB picture, `width` × `height` pixels.
  void add_image(std::uint64_t step, const std::string& tag, int width, int height, std::string_view encoded);

  const std::filesystem::path& path() const { return path_; }

 private:
  void write(std::uint64_t step, std::string_view content);

  std::filesystem::path path_;
  std::ofstream out_;
};

/// A TFRecord: length, its masked CRC-32C, the data, its masked CRC-32C; integers little-endian.
std::string tf_record(std::string_view data);

}  // namespace vitrine

#endif  // VITRINE_TRAIN_RUN_EVENT_FILE_H_
