// The arithmetic of normalise_pictures for one value, shared by the CPU and CUDA kernels. There is no multiply-add that
// a compiler could fuse, so both give the same bits.
#ifndef VITRINE_COMMON_KERNELS_NORMALISE_ELEMENT_H_
#define VITRINE_COMMON_KERNELS_NORMALISE_ELEMENT_H_

#ifdef __CUDACC__
#define VITRINE_HOST_DEVICE __host__ __device__
#else
#define VITRINE_HOST_DEVICE
#endif

namespace vitrine {

VITRINE_HOST_DEVICE inline float normalise_element(unsigned char value, float mean, float stddev) {
  return (static_cast<float>(value) / 255.0f - mean) / stddev;
}

}  // namespace vitrine

#endif  // VITRINE_COMMON_KERNELS_NORMALISE_ELEMENT_H_
