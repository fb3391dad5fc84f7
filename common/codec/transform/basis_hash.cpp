#include <cstdint>
#include <span>
#include <vector>

#include "common/base/hash.h"
#include "common/codec/transform/basis.h"

namespace vitrine {
namespace {

template <class Number>
void hash_array(Sha256& sha, const std::vector<Number>& numbers) {
  sha.update(std::as_bytes(std::span(numbers)));
}

}  // namespace

std::string FeatureBasis::hash() const {
  Sha256 sha;
  const std::uint32_t sizes[] = {channels, height, width};
  sha.update(std::as_bytes(std::span(sizes)));
  sha.update(std::as_bytes(std::span(&views, 1)));
  hash_array(sha, mean);
  hash_array(sha, vectors);
  hash_array(sha, eigenvalues);
  hash_array(sha, rows);
  hash_array(sha, columns);
  hash_array(sha, scale);
  hash_array(sha, expected);
  hash_array(sha, levels);
  sha.update(std::as_bytes(std::span(&confidence, 1)));
  return sha.hex();
}

}  // namespace vitrine
