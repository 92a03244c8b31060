#pragma once

#include <cstdint>
#include <string_view>

namespace kappa {

/// A hash that tells data apart (FNV-1a, a number at a time); equal for equal numbers in equal order.
class Fingerprint {
 public:
  void add(uint64_t number) { hash_ = (hash_ ^ number) * 0x100000001b3u; }
  void add(std::string_view bytes) {
    add(uint64_t(bytes.size()));
    for (const char byte : bytes) add(uint64_t(uint8_t(byte)));
  }
  uint64_t value() const { return hash_; }

 private:
  uint64_t hash_ = 0xcbf29ce484222325u;
};

}  // namespace kappa
