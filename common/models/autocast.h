// Scoped mixed precision.
#ifndef VITRINE_COMMON_MODELS_AUTOCAST_H_
#define VITRINE_COMMON_MODELS_AUTOCAST_H_

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

namespace vitrine {

/// Sets autocast for the device's type on this thread; the destructor restores the previous state. kBFloat16 and kHalf
/// enable it, kFloat disables it (also inside another Autocast). The cache of cast weights is cleared when the
/// outermost scope ends. Scopes nest. Must be destroyed on the thread that created it.
class Autocast {
 public:
  Autocast(c10::Device device, c10::ScalarType type);
  ~Autocast();
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;

 private:
  c10::DeviceType device_;
  bool was_enabled_;
  c10::ScalarType former_type_;
};

}  // namespace vitrine

#endif  // VITRINE_COMMON_MODELS_AUTOCAST_H_
