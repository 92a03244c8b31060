#pragma once
// Arithmetic in bfloat16 where every operation rounds, as a chain of ops on bfloat16 tensors computes it (spec: training A4,
// reading b). Everywhere else a chain is computed in float32 and rounded where it is stored.

#include <cmath>

#include "engine/core/element.h"

namespace kappa {

class EachOp {
 public:
  EachOp() = default;
  KAPPA_HD explicit EachOp(double value) : EachOp(float(value)) {}
  KAPPA_HD EachOp(float value) : value_(bfloat16(value)) {}
  KAPPA_HD EachOp(bfloat16 value) : value_(value) {}
  KAPPA_HD explicit operator bfloat16() const { return bfloat16(value_); }
  KAPPA_HD explicit operator float() const { return value_; }

  KAPPA_HD friend EachOp operator+(EachOp a, EachOp b) { return a.value_ + b.value_; }
  KAPPA_HD friend EachOp operator-(EachOp a, EachOp b) { return a.value_ - b.value_; }
  KAPPA_HD friend EachOp operator*(EachOp a, EachOp b) { return a.value_ * b.value_; }
  KAPPA_HD friend EachOp operator/(EachOp a, EachOp b) { return a.value_ / b.value_; }
  KAPPA_HD friend EachOp sqrt(EachOp a) { return std::sqrt(a.value_); }
  KAPPA_HD friend bool operator>=(EachOp a, EachOp b) { return a.value_ >= b.value_; }
  /// One op: a + w·(b − a).
  KAPPA_HD friend EachOp lerp(EachOp a, EachOp b, EachOp w) { return a.value_ + w.value_ * (b.value_ - a.value_); }

 private:
  float value_ = 0;
};

template <class W>
KAPPA_HD W lerp(W a, W b, W w) {
  return a + w * (b - a);
}

}  // namespace kappa
