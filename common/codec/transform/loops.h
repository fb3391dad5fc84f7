// Plain loops that the compiler makes vectors of, compiled for several instruction sets (isa.h) and chosen at run time.
// Every body gives the same bits. Private to this room.
#ifndef VITRINE_COMMON_CODEC_TRANSFORM_LOOPS_H_
#define VITRINE_COMMON_CODEC_TRANSFORM_LOOPS_H_

#include <array>
#include <cstddef>
#include <cstdint>

namespace vitrine::transform {

/// Slots above, below, left and right of one; one beyond the last where there is none.
using Neighbours = std::array<std::uint32_t, 4>;

/// Rows of all views, a slot each; loops over slots lie within, as a call for each would cost as much as its row.
struct Loops {
  /// Bits that are set among the first `bits`; whole words are read.
  std::uint64_t (*ones_in)(const std::uint8_t* bytes, std::uint64_t bits);
  /// some[position[s]]: 1 where row s of `seen`, [slots, views], has a byte that is not 0, else 0.
  void (*mark_rows)(std::size_t slots, std::size_t views, const std::uint8_t* seen, const std::uint32_t* position,
                    std::uint8_t* some);

  // context.h. `past`, `seen`, `classes`: [slots, views]; `seen` has a row more, of zeros.
  /// Classes of slots [first, last) by what is past alone. 0 < confidence < 2^16.
  void (*classify_alone)(std::size_t first, std::size_t last, std::size_t views, const std::uint16_t* past,
                         const std::int32_t* bias, std::int32_t confidence, std::uint8_t* classes);
  /// The same with the neighbours' magnitudes.
  void (*classify_near)(std::size_t first, std::size_t last, std::size_t views, const Neighbours* near,
                        const std::uint8_t* seen, const std::uint16_t* past, const std::int32_t* bias,
                        std::int32_t confidence, std::uint8_t* classes);
  /// past += 32 (4 own + those around) − past / 8.
  void (*learn_rows)(std::size_t slots, std::size_t views, const Neighbours* near, const std::uint8_t* seen,
                     std::uint16_t* past);
  /// What is expected around each slot, and the classes' offsets, which hold those of the own expectations before; the
  /// evidence for slots from `even` on includes their neighbours' expectations.
  void (*expect_around)(std::size_t slots, std::size_t even, const Neighbours* near, const std::uint32_t* expected,
                        const std::uint32_t* past, std::uint32_t confidence, std::uint32_t* around, std::int32_t* bias);
  void (*learn_expected)(std::size_t slots, const std::uint32_t* expected, const std::uint32_t* around,
                         std::uint32_t* past);

  // items.h. A channel of all views, [views, positions] that are `each` apart, to [positions, views], or in the order
  // `slots` of positions; and back.
  void (*gather)(const float* coefficients, std::size_t each, std::size_t views, std::size_t positions, float* map);
  void (*gather_slots)(const float* coefficients, std::size_t each, std::size_t views, std::size_t positions,
                       const std::uint32_t* slots, float* items);
  void (*scatter)(const float* map, std::size_t views, std::size_t positions, float* coefficients, std::size_t each);
  double (*sum_of_squares)(const float* values, std::size_t n);
  bool (*any_value)(const float* values, std::size_t n);
};
/// The bodies for isa(). Throws Error as that does.
const Loops& loops();

/// linear.h's products: these may fuse, so that their last bits are the instruction set's.
struct Products {
  void (*multiply)(const float* a, const float* b, float* c, std::size_t m, std::size_t k, std::size_t n);
  void (*multiply_some)(const float* a, const float* b, float* c, std::size_t m, std::size_t k, std::size_t n,
                        const std::uint32_t* rows, std::size_t count);
  void (*add_products)(const float* x, double* c, std::size_t m, std::size_t n);
};
const Products& products();

// One of each in a file of its own.
extern const Loops kPortableLoops, kAvx2Loops, kAvx512Loops;
extern const Products kPortableProducts, kAvx2Products, kAvx512Products;

}  // namespace vitrine::transform

#endif  // VITRINE_COMMON_CODEC_TRANSFORM_LOOPS_H_
