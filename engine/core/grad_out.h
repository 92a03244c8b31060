#pragma once
// The gradient contract, for every op and kernel: the first contribution to an activation's gradient overwrites, later ones add;
// contributions to a parameter always add. An op asks for each place once and then writes every element, unless `add`.

#include "engine/core/element.h"

namespace kappa {

/// Where a kernel puts its contribution to one gradient. A null `data` means that nobody wants it.
template <class T>
struct GradOut {
  T* data = nullptr;
  bool add = false;
  KAPPA_HD explicit operator bool() const { return data != nullptr; }
  KAPPA_HD void put(int64_t i, Wide<T> value) const { data[i] = add ? T(Wide<T>(data[i]) + value) : T(value); }
};

}  // namespace kappa
