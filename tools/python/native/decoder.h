/* C interface of the decoders of all encodings but topk (common/cache/FORMAT.md), a shared library that depends only on
 * the C library; encoder.h has the other direction. tools/python/vitrine_cache uses it instead of its own decoder if
 * present. Thread-safe. The environment variable VITRINE_ISA (portable, avx2, avx512) selects the implementation; all
 * give the same items. */
#ifndef VITRINE_TOOLS_NATIVE_DECODER_H_
#define VITRINE_TOOLS_NATIVE_DECODER_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define VITRINE_NATIVE_VERSION 5

/* VITRINE_NATIVE_VERSION of the compiled library. */
uint32_t vitrine_native_version(void);

typedef struct vitrine_decoder vitrine_decoder;

/* Arrays of basis.h5, which are copied: mean [C, H, W], vectors [C, C], eigenvalues [C], rows [H, H] and columns [W, W]
 * or both NULL, scale [C, H, W], expected [512], levels [40, 15]; confidence. Returns NULL for an invalid basis and for
 * a VITRINE_ISA that is unknown or not supported by this processor, with the reason in `message`, at most
 * `message_capacity` bytes including the terminating zero. */
vitrine_decoder* vitrine_decoder_new(uint32_t channels, uint32_t height, uint32_t width, const float* mean,
                                     const float* vectors, const float* eigenvalues, const float* rows,
                                     const float* columns, const int16_t* scale, const uint16_t* expected,
                                     const uint8_t* levels, uint16_t confidence, char* message,
                                     size_t message_capacity);
void vitrine_decoder_free(vitrine_decoder* decoder);

/* Output of vitrine_decode().
 * VITRINE_FEATURES: [views, C, H, W].
 * VITRINE_COEFFICIENTS: coefficients over channels, [views, C, H, W]; vectorsᵀ · out + mean are the features.
 * VITRINE_ITEMS: the payload's items before any matrix product, [C, H, W, views]: the same bits on every machine.
 * The last bits of the others depend on the machine (for coefficients only with rows and columns). */
enum { VITRINE_FEATURES = 0, VITRINE_COEFFICIENTS = 1, VITRINE_ITEMS = 2 };

/* Decodes a group's payload of `bytes` bytes, which may be padded with zeros. Returns 0, or 1 for an invalid payload or
 * `what`, with the reason in `message`; `out` is then unspecified. */
int vitrine_decode(const vitrine_decoder* decoder, const uint8_t* payload, size_t bytes, uint32_t views, int what,
                   float* out, char* message, size_t message_capacity);

/* Decodes a group of an encoding without a basis: `encoding` is the number in common/codec/encoding.h of fp32, fp16,
 * int8, sqrt8 or uniform. `shape`: the `axes` axes of a view; `max_error`: of uniform, otherwise not used. `arrays`:
 * the group's `count` arrays, of `bytes` bytes each. `out`: [views, shape...]. Returns as vitrine_decode(). All
 * implementations give the same bits. */
int vitrine_decode_arrays(uint32_t encoding, const uint32_t* shape, size_t axes, double max_error, uint32_t views,
                          const uint8_t* const* arrays, const size_t* bytes, size_t count, float* out, char* message,
                          size_t message_capacity);

#ifdef __cplusplus
}
#endif

#endif /* VITRINE_TOOLS_NATIVE_DECODER_H_ */
