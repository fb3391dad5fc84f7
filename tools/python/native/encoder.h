/* C interface of the transform encoding's encoder and of its calibration, in the same library as decoder.h. */
#ifndef VITRINE_TOOLS_NATIVE_ENCODER_H_
#define VITRINE_TOOLS_NATIVE_ENCODER_H_

#include "tools/python/native/decoder.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Encodes a group: values [views, C, H, W], with a squared error of at most max_error, in (0, 1), of their energy about
 * the mean. `payload` can take `payload_capacity` bytes; 12 per value and 4096 always suffice. Returns 0 and the
 * payload's length in *bytes, or 1 with the reason in `message`. Thread-safe. */
int vitrine_encode(const vitrine_decoder* decoder, const float* values, uint32_t views, double max_error,
                   uint8_t* payload, size_t payload_capacity, size_t* bytes, char* message, size_t message_capacity);

/* Eigenvalues of a symmetric matrix [n, n], descending, and unit eigenvectors, one per row [n, n]. Returns 0, or
 * another number if there are none. The caller brings it, so that this library needs no linear algebra. */
typedef int (*vitrine_eigen)(const double* matrix, size_t n, double* values, double* vectors);

/* Computes a basis from features. Not thread-safe. */
typedef struct vitrine_calibrator vitrine_calibrator;
vitrine_calibrator* vitrine_calibrator_new(uint32_t channels, uint32_t height, uint32_t width, char* message,
                                           size_t message_capacity);
void vitrine_calibrator_free(vitrine_calibrator* calibrator);

/* Adds values [views, C, H, W], finite. Returns 0, or 1 with the reason in `message`. */
int vitrine_calibrator_add(vitrine_calibrator* calibrator, const float* values, uint32_t views, char* message,
                           size_t message_capacity);

/* Fills the arrays of basis.h5 (decoder.h); `rows` and `columns` only if *spatial is then 1. `max_error` and `group`
 * are those of the track. Returns 0, or 1 with the reason in `message`. */
int vitrine_calibrator_finish(const vitrine_calibrator* calibrator, double max_error, uint32_t group,
                              vitrine_eigen eigen, float* mean, float* vectors, float* eigenvalues, float* rows,
                              float* columns, int16_t* scale, uint16_t* expected, uint8_t* levels, uint16_t* confidence,
                              int* spatial, char* message, size_t message_capacity);

#ifdef __cplusplus
}
#endif

#endif /* VITRINE_TOOLS_NATIVE_ENCODER_H_ */
