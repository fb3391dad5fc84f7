#include "common/base/buffer.h"

#include <sys/mman.h>

#include <new>

namespace vitrine {
namespace {

constexpr std::size_t kHugePage = 1 << 21, kSmallPage = 1 << 12;

}  // namespace

void Buffer::grow(std::size_t size) {
  // From half a huge page on, round up to whole huge pages.
  const std::size_t page = size >= kHugePage / 2 ? kHugePage : kSmallPage, whole = (size + page - 1) / page * page;
  if (whole < size) throw std::bad_alloc();
  data_.reset();
  size_ = 0;
  data_ = {static_cast<std::byte*>(::operator new(whole, std::align_val_t(page))), Free{page}};
  size_ = whole;
  // Best effort; without huge pages reads are slower.
  if (page == kHugePage) (void)::madvise(data_.get(), whole, MADV_HUGEPAGE);
}

}  // namespace vitrine
