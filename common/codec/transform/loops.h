// Auto-vectorised loops, compiled for several instruction sets (isa.h) and chosen at run time. All implementations give
// the same bits. Private to this room.
#ifndef VITRINE_COMMON_CODEC_TRANSFORM_LOOPS_H_
#define VITRINE_COMMON_CODEC_TRANSFORM_LOOPS_H_

#include <array>
#include <cstddef>
#include <cstdint>

namespace vitrine::transform {

/// Slots above, below, left and right of one; one past the last slot if there is none.
using Neighbours = std::array<std::uint32_t, 4>;

/// Each slot is a row of all views. The functions loop over slots, as a call per row would cost as much as the row.
struct Loops {
  /// Number of ones among the first `bits` bits; whole words are read.
  std::uint64_t (*ones_in)(const std::uint8_t* bytes, std::uint64_t bits);
  /// some[position[s]]: 1 where row s of `seen`, [slots, views], has a byte that is not 0, else 0.
  void (*mark_rows)(std::size_t slots, std::size_t views, const std::uint8_t* seen, const std::uint32_t* position,
                    std::uint8_t* some);

  // context.h. `past`, `seen`, `classes`: [slots, views]; `seen` has one more row, of zeros.
  /// Classes of slots [first, last) from `past` alone. 0 < confidence < 2^16.
  void (*classify_alone)(std::size_t first, std::size_t last, std::size_t views, const std::uint16_t* past,
                         const std::int32_t* bias, std::int32_t confidence, std::uint8_t* classes);
  /// The same with the neighbours' magnitudes.
  void (*classify_near)(std::size_t first, std::size_t last, std::size_t views, const Neighbours* near,
                        const std::uint8_t* seen, const std::uint16_t* past, const std::int32_t* bias,
                        std::int32_t confidence, std::uint8_t* classes);
  /// past += 32 (4 · own + sum of neighbours) − past / 8.
  void (*learn_rows)(std::size_t slots, std::size_t views, const Neighbours* near, const std::uint8_t* seen,
                     std::uint16_t* past);
  /// The sum of expectations around each slot, and the classes' offsets; on entry `bias` holds those of the slots' own
  /// expectations. The evidence for slots from `even` on includes their neighbours' expectations.
  void (*expect_around)(std::size_t slots, std::size_t even, const Neighbours* near, const std::uint32_t* expected,
                        const std::uint32_t* past, std::uint32_t confidence, std::uint32_t* around, std::int32_t* bias);
  void (*learn_expected)(std::size_t slots, const std::uint32_t* expected, const std::uint32_t* around,
                         std::uint32_t* past);

  // items.h. Transposes a channel of all views, [views, positions] with a stride of `each` between views, to
  // [positions, views], optionally with positions in the order `slots`; and back.
  void (*gather)(const float* coefficients, std::size_t each, std::size_t views, std::size_t positions, float* map);
  void (*gather_slots)(const float* coefficients, std::size_t each, std::size_t views, std::size_t positions,
                       const std::uint32_t* slots, float* items);
  void (*scatter)(const float* map, std::size_t views, std::size_t positions, float* coefficients, std::size_t each);
  double (*sum_of_squares)(const float* values, std::size_t n);
  bool (*any_value)(const float* values, std::size_t n);
};
/// The implementation for isa(). Throws Error as isa() does.
const Loops& loops();

/// linear.h's products: these may use fused multiply-add, so their last bits depend on the instruction set.
struct Products {
  void (*multiply)(const float* a, const float* b, float* c, std::size_t m, std::size_t k, std::size_t n);
  void (*multiply_some)(const float* a, const float* b, float* c, std::size_t m, std::size_t k, std::size_t n,
                        const std::uint32_t* rows, std::size_t count);
  void (*add_products)(const float* x, double* c, std::size_t m, std::size_t n);
};
const Products& products();

// Each is compiled in its own file.
extern const Loops kPortableLoops, kAvx2Loops, kAvx512Loops;
extern const Products kPortableProducts, kAvx2Products, kAvx512Products;

}  // namespace vitrine::transform

#endif  // VITRINE_COMMON_CODEC_TRANSFORM_LOOPS_H_
