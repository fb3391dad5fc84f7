// Mixed precision for a scope.
#ifndef VITRINE_COMMON_MODELS_AUTOCAST_H_
#define VITRINE_COMMON_MODELS_AUTOCAST_H_

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

namespace vitrine {

/// Sets autocast of the device's kind on this thread and puts the former state back at the end of the scope. kBFloat16
/// and kHalf switch it on, kFloat switches it off (also inside another Autocast). The cache of cast weights is emptied
/// when the outermost scope ends. Scopes nest; an object belongs to the thread that made it.
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
