// Memory for what is read again and again. A std::vector would fill it with zeros and leave it on small pages, whose
// translation costs a reader of groups of ten megabytes a fifth of its time.
#ifndef VITRINE_COMMON_BASE_BUFFER_H_
#define VITRINE_COMMON_BASE_BUFFER_H_

#include <cstddef>
#include <memory>
#include <new>
#include <span>

namespace vitrine {

/// Bytes that grow and never shrink, on huge pages where the system gives them. Moves, does not copy.
class Buffer {
 public:
  /// The first `size` bytes. What they hold is unspecified after growth; otherwise it is what was there.
  std::span<std::byte> first(std::size_t size) {
    if (size > size_) grow(size);
    return {data_.get(), size};
  }
  /// The same as `count` numbers.
  template <class Number>
  std::span<Number> numbers(std::size_t count) {
    return {reinterpret_cast<Number*>(first(count * sizeof(Number)).data()), count};
  }

 private:
  void grow(std::size_t size);

  struct Free {
    std::size_t page;
    void operator()(std::byte* data) const { ::operator delete(data, std::align_val_t(page)); }
  };
  std::unique_ptr<std::byte, Free> data_{nullptr, {1}};
  std::size_t size_ = 0;
};

}  // namespace vitrine

#endif  // VITRINE_COMMON_BASE_BUFFER_H_
