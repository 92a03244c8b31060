#pragma once
// CRC-32 (IEEE 802.3, as in gzip), which shows that bytes are not those that were written.

#include <cstddef>
#include <cstdint>
#include <span>

namespace kappa {

uint32_t crc32_of(std::span<const std::byte> bytes);

}  // namespace kappa
