/* The transform encoding's decoder (common/cache/FORMAT.md) for other languages, as a shared library that needs nothing
 * but the C library: tools/python/vitrine_cache takes it in place of its own where it is there. Any thread, several at
 * once. The environment's VITRINE_ISA (portable, avx2, avx512) chooses among its bodies, which give the same items. */
#ifndef VITRINE_TOOLS_NATIVE_DECODER_H_
#define VITRINE_TOOLS_NATIVE_DECODER_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define VITRINE_NATIVE_VERSION 3

/* Of the calls below: VITRINE_NATIVE_VERSION when the library was made. */
uint32_t vitrine_native_version(void);

typedef struct vitrine_decoder vitrine_decoder;

/* Arrays of basis.h5, which are copied: mean [C, H, W], vectors [C, C], eigenvalues [C], rows [H, H] and columns [W, W]
 * or both NULL, scale [C, H, W], expected [512], levels [40, 15]; confidence. Returns NULL for a basis that is
 * none and for a VITRINE_ISA that is unknown or not this processor's, and says why in `message`, a sentence of at most
 * `room` bytes with its end. */
vitrine_decoder* vitrine_decoder_new(uint32_t channels, uint32_t height, uint32_t width, const float* mean,
                                     const float* vectors, const float* eigenvalues, const float* rows,
                                     const float* columns, const int16_t* scale, const uint16_t* expected,
                                     const uint8_t* levels, uint16_t confidence, char* message, size_t room);
void vitrine_decoder_free(vitrine_decoder* decoder);

/* What vitrine_decode() writes to `out`.
 * VITRINE_FEATURES: [views, C, H, W].
 * VITRINE_COEFFICIENTS: features in the basis of channels, [views, C, H, W]; vectorsᵀ · out + mean are the features.
 * VITRINE_ITEMS: what the payload holds, before any matrix product, [C, H, W, views]: the same bits on every machine.
 * The others have been through products, whose last bits depend on the machine (coefficients only with rows and
 * columns). */
enum { VITRINE_FEATURES = 0, VITRINE_COEFFICIENTS = 1, VITRINE_ITEMS = 2 };

/* A group's payload, `bytes` long, zeros after it allowed. Returns 0, or 1 for bytes that no encoder makes and for a
 * `what` that is none of the above, and says in `message` what is wrong with them; `out` is unspecified then. */
int vitrine_decode(const vitrine_decoder* decoder, const uint8_t* payload, size_t bytes, uint32_t views, int what,
                   float* out, char* message, size_t room);

#ifdef __cplusplus
}
#endif

#endif /* VITRINE_TOOLS_NATIVE_DECODER_H_ */
