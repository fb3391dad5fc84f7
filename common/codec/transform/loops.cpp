#include "common/codec/transform/loops.h"

#include "common/codec/isa.h"

namespace vitrine::transform {
namespace {

template <class Bodies>
const Bodies& chosen(const Bodies& portable, const Bodies& avx2, const Bodies& avx512) {
  switch (isa()) {
    case Isa::kPortable:
      return portable;
    case Isa::kAvx2:
      return avx2;
    case Isa::kAvx512:
      return avx512;
  }
  return portable;
}

}  // namespace

#if defined(__x86_64__)
const Loops& loops() {
  return chosen(kPortableLoops, kAvx2Loops, kAvx512Loops);
}
const Products& products() {
  return chosen(kPortableProducts, kAvx2Products, kAvx512Products);
}
#else
const Loops& loops() {
  return chosen(kPortableLoops, kPortableLoops, kPortableLoops);
}
const Products& products() {
  return chosen(kPortableProducts, kPortableProducts, kPortableProducts);
}
#endif

}  // namespace vitrine::transform
