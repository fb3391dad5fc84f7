// The instruction sets of the processor, by LibTorch's names.
#ifndef VITRINE_COMMON_MODELS_INSTRUCTION_SETS_H_
#define VITRINE_COMMON_MODELS_INSTRUCTION_SETS_H_

namespace vitrine {

/// Whether this processor has the set: "avx512_bf16", "avx512_fp16", "amx_bf16", ... False for a name that LibTorch
/// does not know. Thread-safe; the processor is asked once.
bool cpu_has(const char* instruction_set);

}  // namespace vitrine

#endif  // VITRINE_COMMON_MODELS_INSTRUCTION_SETS_H_
