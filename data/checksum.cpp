#include "data/checksum.h"

#include <zlib.h>

namespace kappa {

uint32_t crc32_of(std::span<const std::byte> bytes) {
  return uint32_t(crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

}  // namespace kappa
