#pragma once
// Products of a few rows with a matrix: what generating a token at a time consists of. The matrix is read once, as it lies in
// memory, and that is what they cost; a BLAS would copy it first.

#include "engine/core/element.h"

namespace kappa {

/// c [m, n] = a·op(b), where op transposes if asked: b is stored [n, k] then, else [k, n]. Rows are `…_stride` elements apart.
template <class T>
struct FewRows {
  int64_t m, n, k;
  const Wide<T>* a;
  int64_t a_stride;
  const T* b;
  int64_t b_stride;
  bool transpose_b;
  Wide<T>* c;
  int64_t c_stride;
};

/// On the calling thread. Any m is right; up to `few_rows` it is faster than multiply_tile.
template <class T>
void multiply_few_rows(const FewRows<T>& p);

constexpr int64_t few_rows = 4;
/// Elements of a matrix from which on it matters how often it is read; the products of smaller ones are as the BLAS makes them.
constexpr int64_t worth_reading_once = 8192;

}  // namespace kappa
