#pragma once

#include "engine/core/grad_out.h"
#include "engine/core/queue.h"

namespace kappa {

struct AttentionExtents {
  int64_t batch, queries, keys, heads, kv_heads, head_size, window;  // B, T, S, H, Hkv, D
  int64_t room;                                                      // tokens that k and v have memory for in each row, ≥ S

  /// Query `i` sees the keys from `first_key(i)` up to before `end_key(i)`, the one of its own position.
  KAPPA_HD int64_t end_key(int64_t i) const { return keys - queries + i + 1; }
  KAPPA_HD int64_t first_key(int64_t i) const { return end_key(i) <= window ? 0 : end_key(i) - 1 - window; }
};

template <class T>
struct AttentionValues {
  AttentionExtents n;
  const T* q;      // [B, T, H, D]
  const T *k, *v;  // [B, room, Hkv, D], of which the first S count
};

template <class T>
struct AttentionGradients {
  const T* out;        // [B, T, H, D]
  const Wide<T>* lse;  // [B, H, T]
  const T* dout;       // [B, T, H, D]
  GradOut<T> q;        // [B, T, H, D]
  GradOut<T> k, v;     // [B, S, Hkv, D]
};

/// out [B, T, H, D], lse [B, H, T]
template <class T>
void attention_forward(CpuQueue, const AttentionValues<T>&, T* out, Wide<T>* lse);
/// The same for T = 1, without lse: keys and values are read once, as they lie in memory.
template <class T>
void attention_decode(CpuQueue, const AttentionValues<T>&, T* out);
/// room = S
template <class T>
void attention_backward(CpuQueue, const AttentionValues<T>&, const AttentionGradients<T>&);

}  // namespace kappa
