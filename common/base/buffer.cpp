#include "common/base/buffer.h"

#include <sys/mman.h>

#include <new>

namespace vitrine {
namespace {

constexpr std::size_t kHugePage = 1 << 21, kSmallPage = 1 << 12;

}  // namespace

void Buffer::grow(std::size_t size) {
  // Half a huge page and more takes whole ones.
  const std::size_t page = size >= kHugePage / 2 ? kHugePage : kSmallPage, whole = (size + page - 1) / page * page;
  if (whole < size) throw std::bad_alloc();
  data_.reset();
  size_ = 0;
  data_ = {static_cast<std::byte*>(::operator new(whole, std::align_val_t(page))), Free{page}};
  size_ = whole;
  // A wish: without huge pages the memory is as good, but slower.
  if (page == kHugePage) (void)::madvise(data_.get(), whole, MADV_HUGEPAGE);
}

}  // namespace vitrine
