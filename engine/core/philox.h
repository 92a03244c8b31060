#pragma once
// Random numbers as a pure function: number i of (seed, stream name, step). Nothing is drawn in order, so the same numbers come
// out on any device, for any number of threads and after any resume.
//
// Philox4x32-10 (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC'11): ten rounds of
//
//     (x0, x1, x2, x3) ← (hi(M1·x2) ^ x1 ^ k0,  lo(M1·x2),  hi(M0·x0) ^ x3 ^ k1,  lo(M0·x0))        (k0, k1) += (W0, W1)

#include <cmath>
#include <cstdint>
#include <string_view>

#include "engine/core/element.h"

namespace kappa {

struct PhiloxBlock {
  uint32_t x0, x1, x2, x3;
  /// Word `lane` & 3. Written without an address, so that a kernel keeps the words in registers.
  KAPPA_HD uint32_t word(int64_t lane) const { return lane & 2 ? (lane & 1 ? x3 : x2) : (lane & 1 ? x1 : x0); }
};

/// Ten rounds over the counter under the key (k0, k1).
KAPPA_HD inline PhiloxBlock philox(PhiloxBlock x, uint32_t k0, uint32_t k1) {
  for (int round = 0; round < 10; ++round, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
    const uint64_t a = uint64_t{0xD2511F53u} * x.x0, b = uint64_t{0xCD9E8D57u} * x.x2;
    x = {uint32_t(b >> 32) ^ x.x1 ^ k0, uint32_t(b), uint32_t(a >> 32) ^ x.x3 ^ k1, uint32_t(a)};
  }
  return x;
}

/// One stream of random numbers. Made on the host, copied into kernels.
///
/// The key is a hash of seed and stream name; the counter is (index of the block, step). A block of four words gives four floats,
/// four normal numbers or two doubles.
class Random {
 public:
  /// `stream` says what the numbers are for: a parameter's name, "router noise 3". Two names never share numbers.
  Random(uint64_t seed, std::string_view stream, uint64_t step = 0) : key_(mixed(seed ^ mixed(hash(stream)))), step_(step) {}

  KAPPA_HD PhiloxBlock block(int64_t i) const {
    return philox({uint32_t(uint64_t(i)), uint32_t(uint64_t(i) >> 32), uint32_t(step_), uint32_t(step_ >> 32)}, uint32_t(key_),
                  uint32_t(key_ >> 32));
  }

  /// 32 random bits.
  KAPPA_HD uint32_t bits(int64_t i) const { return block(i >> 2).word(i); }

  /// Uniform in [0, 1) from one word: a multiple of 2⁻²⁴.
  KAPPA_HD static float unit(uint32_t word) { return float(word >> 8) * 0x1p-24f; }

  /// Uniform in [0, 1): unit(bits(i)) for float, a multiple of 2⁻⁵³ for double.
  template <class T>
  KAPPA_HD T uniform(int64_t i) const {
    if constexpr (std::is_same_v<T, double>) {
      const PhiloxBlock b = block(i >> 1);
      const uint64_t both = uint64_t{i & 1 ? b.x3 : b.x1} << 32 | (i & 1 ? b.x2 : b.x0);
      return double(both >> 11) * 0x1p-53;
    } else {
      return unit(bits(i));
    }
  }

  /// Normal with mean 0 and variance 1, by Box and Muller from two words u, v in (0, 1):  √(−2 ln u)·(cos 2πv, sin 2πv).
  /// |result| < 6.8. In float it is that of double but for rounding.
  template <class T>
  KAPPA_HD T normal(int64_t i) const {
    const PhiloxBlock b = block(i >> 2);
    const T u = (T(i & 2 ? b.x2 : b.x0) + T(0.5)) * T(0x1p-32), v = (T(i & 2 ? b.x3 : b.x1) + T(0.5)) * T(0x1p-32);
    const T radius = std::sqrt(T(-2) * std::log(u)), angle = T(6.283185307179586) * v;
    return radius * (i & 1 ? std::sin(angle) : std::cos(angle));
  }

 private:
  /// FNV-1a, 64 bits.
  static uint64_t hash(std::string_view text) {
    uint64_t h = 0xcbf29ce484222325u;
    for (unsigned char c : text) h = (h ^ c) * 0x100000001b3u;
    return h;
  }
  /// The finaliser of SplitMix64: a bijection in which every bit of the input moves every bit of the output.
  static uint64_t mixed(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
  }

  uint64_t key_, step_;
};

}  // namespace kappa
