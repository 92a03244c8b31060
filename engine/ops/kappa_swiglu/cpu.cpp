#include "engine/core/wide.h"
#include "engine/device/thread_pool.h"
#include "engine/memory/scratch.h"
#include "engine/ops/kappa_swiglu/kernels.h"

namespace kappa {
namespace {

constexpr int64_t row_grain = 16;   // rows of one expert's slots that a forward tile computes
constexpr int64_t unit_tile = 128;  // units of one expert that a backward tile owns

template <class T, bool confident>
KAPPA_WIDE void forward_rows(const KappaGateValues<T>& v, T* h, Range rows) {
  using W = Wide<T>;
  const int64_t slots = v.n.slots, units = v.n.units;
  const W log_slope_max = std::log(*v.slope_max);
  for (int64_t row = rows.begin; row < rows.end; ++row) {
    const T *gate = v.gate + row * units, *up = v.up + row * units;
    const W *bias = v.bias + row / slots * units, *scale = confident ? v.scale + row / slots * units : nullptr;
    const W c = confident ? v.confidence[row] : W(0);
    T* out = h + row * units;
#pragma omp simd
    for (int64_t j = 0; j < units; ++j) {
      W z = bias[j];
      if constexpr (confident) z += scale[j] * c;
      out[j] = T(KappaGatePoint<T>(gate[j], up[j], z, log_slope_max).h());
    }
  }
}

/// One expert's units [units.begin, units.end), over all of its slots in order. `confidence_part` [S] gets these units' share of
/// dc.
template <class T, bool confident>
KAPPA_WIDE void backward_units(const KappaGateValues<T>& v, const KappaGateGradients<T>& d, int64_t expert, Range units,
                               Wide<T>* confidence_part) {
  using W = Wide<T>;
  const W log_slope_max = std::log(*v.slope_max);
  const int64_t first_unit = expert * v.n.units + units.begin, n = units.end - units.begin;
  const W *bias = v.bias + first_unit, *scale = confident ? v.scale + first_unit : nullptr;
  W dbias[unit_tile] = {}, dscale[unit_tile] = {};
  const bool add_gate = d.gate.add, add_up = d.up.add;
  for (int64_t s = 0; s < v.n.slots; ++s) {
    const int64_t row = expert * v.n.slots + s, i = row * v.n.units + units.begin;
    const T *gate = v.gate + i, *up = v.up + i, *dh = d.dh + i;
    T *dgate = d.gate.data ? d.gate.data + i : nullptr, *dup = d.up.data ? d.up.data + i : nullptr;
    const W c = confident ? v.confidence[row] : W(0);
    W dz[unit_tile], dg[unit_tile], du[unit_tile], dc = 0;
#pragma omp simd
    for (int64_t j = 0; j < n; ++j) {
      W z = bias[j];
      if constexpr (confident) z += scale[j] * c;
      const KappaGatePoint<T> point(gate[j], up[j], z, log_slope_max);
      const W out = dh[j];
      dg[j] = out * point.dh_dg();
      du[j] = out * point.dh_du();
      dz[j] = out * point.dh_dz();
    }
    if (dgate)
      for (int64_t j = 0; j < n; ++j) dgate[j] = T(add_gate ? W(dgate[j]) + dg[j] : dg[j]);
    if (dup)
      for (int64_t j = 0; j < n; ++j) dup[j] = T(add_up ? W(dup[j]) + du[j] : du[j]);
    for (int64_t j = 0; j < n; ++j) dbias[j] += dz[j];
    if constexpr (confident) {
#pragma omp simd reduction(+ : dc)
      for (int64_t j = 0; j < n; ++j) {
        dscale[j] += dz[j] * c;
        dc += dz[j] * scale[j];
      }
      confidence_part[s] = dc;
    }
  }
  for (int64_t j = 0; j < n; ++j) {
    if (d.bias) d.bias.put(first_unit + j, dbias[j]);
    if (d.scale) d.scale.put(first_unit + j, dscale[j]);
  }
}

}  // namespace

template <class T>
void kappa_swiglu_forward(CpuQueue, const KappaGateValues<T>& v, T* h) {
  parallel_ranges(v.n.experts * v.n.slots, row_grain, [&](Range rows) {
    if (v.scale)
      forward_rows<T, true>(v, h, rows);
    else
      forward_rows<T, false>(v, h, rows);
  });
}

// A tile's sums over slots have one order; the sum over units (dc) is added up tile by tile afterwards.
template <class T>
void kappa_swiglu_backward(CpuQueue queue, const KappaGateValues<T>& v, const KappaGateGradients<T>& d) {
  const auto [experts, slots, units] = v.n;
  const int64_t tiles = ceil_div(units, unit_tile);
  const Scratch<Wide<T>> confidence_parts(queue, v.scale ? experts * tiles * slots : 0);  // [E, tiles, S]
  Wide<T>* const parts = confidence_parts;
  parallel_for(experts * tiles, [&, units = units, slots = slots](int64_t tile) {
    const int64_t begin = tile % tiles * unit_tile;
    const Range range{begin, begin + unit_tile < units ? begin + unit_tile : units};
    if (v.scale)
      backward_units<T, true>(v, d, tile / tiles, range, parts + tile * slots);
    else
      backward_units<T, false>(v, d, tile / tiles, range, nullptr);
  });
  if (!d.confidence) return;
  for (int64_t e = 0; e < experts; ++e)
    for (int64_t s = 0; s < slots; ++s) {
      Wide<T> dc = 0;
      for (int64_t tile = 0; tile < tiles; ++tile) dc += parts[(e * tiles + tile) * slots + s];
      d.confidence.put(e * slots + s, dc);
    }
}

#define KAPPA_INSTANTIATE(T)                                                   \
  template void kappa_swiglu_forward(CpuQueue, const KappaGateValues<T>&, T*); \
  template void kappa_swiglu_backward(CpuQueue, const KappaGateValues<T>&, const KappaGateGradients<T>&);
KAPPA_INSTANTIATE(double)
KAPPA_INSTANTIATE(float)
KAPPA_INSTANTIATE(bfloat16)

}  // namespace kappa
