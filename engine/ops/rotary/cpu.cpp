#include "engine/core/wide.h"
#include "engine/device/thread_pool.h"
#include "engine/ops/rotary/kernels.h"

namespace kappa {
namespace {

constexpr int64_t token_grain = 16;

template <class T>
KAPPA_WIDE void turn_tokens(const RotaryTurn<T>& turn, Range tokens) {
  using W = Wide<T>;
  const int64_t length = turn.n.tokens, heads = turn.n.heads, half = turn.n.half;
  const W direction = turn.rotation == Rotation::forward ? W(1) : W(-1);
  const GradOut<T> y = turn.y;
  for (int64_t token = tokens.begin; token < tokens.end; ++token) {
    const W *cos = turn.cos + token % length * half, *sin = turn.sin + token % length * half;
    for (int64_t head = 0; head < heads; ++head) {
      const int64_t first = (token * heads + head) * 2 * half, second = first + half;
      const T *x1 = turn.x + first, *x2 = turn.x + second;
#pragma omp simd
      for (int64_t j = 0; j < half; ++j) y.put(first + j, W(x1[j]) * cos[j] + W(x2[j]) * (direction * sin[j]));
#pragma omp simd
      for (int64_t j = 0; j < half; ++j) y.put(second + j, W(x2[j]) * cos[j] - W(x1[j]) * (direction * sin[j]));
    }
  }
}

}  // namespace

template <class T>
void rotary_turn(CpuQueue, const RotaryTurn<T>& turn) {
  if (!turn.y) return;
  parallel_ranges(turn.n.batch * turn.n.tokens, token_grain, [&](Range tokens) { turn_tokens(turn, tokens); });
}

template void rotary_turn(CpuQueue, const RotaryTurn<double>&);
template void rotary_turn(CpuQueue, const RotaryTurn<float>&);
template void rotary_turn(CpuQueue, const RotaryTurn<bfloat16>&);

}  // namespace kappa
