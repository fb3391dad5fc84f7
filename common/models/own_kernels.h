// Which of the own kernels for the CPU serve, decided by what a track records of the processor (DeviceRecord), so that
// equal records mean equal kernels.
#ifndef VITRINE_COMMON_MODELS_OWN_KERNELS_H_
#define VITRINE_COMMON_MODELS_OWN_KERNELS_H_

namespace vitrine {

/// AVX-512, in FP32: where LibTorch uses it (at::get_cpu_capability()).
bool has_avx512_kernels();
/// Of BF16 values: with AVX512_BF16 too, but without AMX, which LibTorch's products use.
bool has_bf16_kernels();

}  // namespace vitrine

#endif  // VITRINE_COMMON_MODELS_OWN_KERNELS_H_
