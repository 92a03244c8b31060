#include <algorithm>

#include "engine/core/wide.h"
#include "engine/device/thread_pool.h"
#include "engine/memory/scratch.h"
#include "engine/ops/kappa_swiglu/kernels.h"

namespace kappa {
namespace {

constexpr int64_t row_grain = 16;  // rows that a forward tile computes
constexpr int64_t slot_tile = 64;  // slots of one expert that a backward tile computes
constexpr int64_t unit_run = 128;  // units of a row that go through the stages together

// One element needs three exponentials, each of which waits for the one before. So a row is worked off in runs of `unit_run`
// units, one stage after the other over the whole run: then many elements are under way at a time, and what a stage leaves stays
// in the L1 cache.

/// What belongs to the units of one run, n ≤ unit_run of them.
template <class W>
struct UnitRun {
  int64_t n;
  const W *bias, *scale;  // [n]; scale may be null
};

/// The first stage: t = tanh z, and where asked for 1 − t², for one slot of confidence c.
template <class W, bool confident>
KAPPA_WIDE void exponents(const UnitRun<W>& units, W c, W* t, W* rest) {
#pragma omp simd
  for (int64_t j = 0; j < units.n; ++j) {
    W z = units.bias[j];
    if constexpr (confident) z += units.scale[j] * c;
    const KappaExponent<W> exponent(z);
    t[j] = exponent.t;
    rest[j] = exponent.rest;
  }
}

template <class T>
KAPPA_WIDE void slopes(int64_t n, const Wide<T>* t, Wide<T> log_slope_max, Wide<T>* kappa) {
#pragma omp simd
  for (int64_t j = 0; j < n; ++j) kappa[j] = kappa_of<T>(t[j], log_slope_max);
}

template <class T>
KAPPA_WIDE void gates(int64_t n, const T* gate, const T* up, const Wide<T>* kappa, T* h) {
#pragma omp simd
  for (int64_t j = 0; j < n; ++j) h[j] = T(KappaGatePoint<Wide<T>>(gate[j], up[j], kappa[j]).h());
}

/// dg, du, and dz = dh·∂h/∂κ·∂κ/∂z with ∂κ/∂z = κ·L·(1 − t²).
template <class T>
KAPPA_WIDE void gate_gradients(int64_t n, const T* gate, const T* up, const T* dh, const Wide<T>* kappa, const Wide<T>* rest,
                               Wide<T> log_slope_max, Wide<T>* dg, Wide<T>* du, Wide<T>* dz) {
#pragma omp simd
  for (int64_t j = 0; j < n; ++j) {
    const KappaGatePoint<Wide<T>> point(gate[j], up[j], kappa[j]);
    const Wide<T> out = dh[j];
    dg[j] = out * point.dh_dg();
    du[j] = out * point.dh_du();
    dz[j] = out * point.dh_dkappa() * (kappa[j] * log_slope_max * rest[j]);
  }
}

template <class T>
KAPPA_WIDE void put_run(int64_t n, const Wide<T>* values, T* out, bool add) {
  using W = Wide<T>;
  if (add)
    for (int64_t j = 0; j < n; ++j) out[j] = T(W(out[j]) + values[j]);
  else
    for (int64_t j = 0; j < n; ++j) out[j] = T(values[j]);
}

/// Adds dz to the run's sums over slots; gives this slot's share of dc.
template <class W>
KAPPA_WIDE W add_slot(int64_t n, const W* dz, W c, const W* scale, W* dbias, W* dscale) {
  W dc = 0;
#pragma omp simd reduction(+ : dc)
  for (int64_t j = 0; j < n; ++j) {
    dbias[j] += dz[j];
    dscale[j] += dz[j] * c;
    dc += scale ? dz[j] * scale[j] : W(0);
  }
  return dc;
}

/// Calls body(first unit, how many) for the runs of a row.
template <class Body>
void for_runs(int64_t units, Body body) {
  for (int64_t first = 0; first < units; first += unit_run) body(first, units - first < unit_run ? units - first : unit_run);
}

/// κ and 1 − t² of every unit, where there is no confidence and they are the same in all slots.
template <class T>
struct UnitSlopes {
  using W = Wide<T>;
  Scratch<W> kappa, rest;  // [E, F]; or nothing

  UnitSlopes(CpuQueue queue, const KappaGateValues<T>& v)
      : kappa(queue, v.scale ? 0 : v.n.experts * v.n.units), rest(queue, v.scale ? 0 : v.n.experts * v.n.units) {
    if (v.scale) return;
    const W log_slope_max = std::log(*v.slope_max);
    for_runs(v.n.experts * v.n.units, [&](int64_t first, int64_t n) {
      W t[unit_run];
      exponents<W, false>({n, v.bias + first, nullptr}, W(0), t, rest + first);
      slopes<T>(n, t, log_slope_max, kappa + first);
    });
  }
};

template <class T>
void forward_rows(const KappaGateValues<T>& v, const Wide<T>* unit_kappa, T* h, Range rows) {
  using W = Wide<T>;
  const int64_t slots = v.n.slots, units = v.n.units;
  const W log_slope_max = std::log(*v.slope_max);
  for (int64_t row = rows.begin; row < rows.end; ++row)
    for_runs(units, [&](int64_t first, int64_t n) {
      const int64_t i = row * units + first, p = row / slots * units + first;
      if (!v.scale) return gates(n, v.gate + i, v.up + i, unit_kappa + p, h + i);
      W t[unit_run], rest[unit_run], kappa[unit_run];
      exponents<W, true>({n, v.bias + p, v.scale + p}, v.confidence[row], t, rest);
      slopes<T>(n, t, log_slope_max, kappa);
      gates(n, v.gate + i, v.up + i, kappa, h + i);
    });
}

/// The sums over one tile of slots.
template <class W>
struct TileSums {
  W *bias, *scale;  // [F]
};

template <class T>
void backward_slots(const KappaGateValues<T>& v, const KappaGateGradients<T>& d, const UnitSlopes<T>& of_units, int64_t expert,
                    Range slots, TileSums<Wide<T>> sums) {
  using W = Wide<T>;
  const bool confident = v.scale;
  const int64_t units = v.n.units;
  const W log_slope_max = std::log(*v.slope_max);
  std::fill_n(sums.bias, units, W(0));
  std::fill_n(sums.scale, units, W(0));
  for (int64_t s = slots.begin; s < slots.end; ++s) {
    const int64_t row = expert * v.n.slots + s;
    const W c = confident ? v.confidence[row] : W(0);
    W dc = 0;
    for_runs(units, [&](int64_t first, int64_t n) {
      const int64_t i = row * units + first, p = expert * units + first;
      const W* const scale = confident ? v.scale + p : nullptr;
      W t[unit_run], own_rest[unit_run], own_kappa[unit_run], dg[unit_run], du[unit_run], dz[unit_run];
      if (confident) {
        exponents<W, true>({n, v.bias + p, scale}, c, t, own_rest);
        slopes<T>(n, t, log_slope_max, own_kappa);
      }
      const W *const kappa = confident ? own_kappa : of_units.kappa + p, *const rest = confident ? own_rest : of_units.rest + p;
      gate_gradients(n, v.gate + i, v.up + i, d.dh + i, kappa, rest, log_slope_max, dg, du, dz);
      if (d.gate) put_run(n, dg, d.gate.data + i, d.gate.add);
      if (d.up) put_run(n, du, d.up.data + i, d.up.add);
      dc += add_slot(n, dz, c, scale, sums.bias + first, sums.scale + first);
    });
    if (confident && d.confidence) d.confidence.put(row, dc);
  }
}

/// out [units of one expert] gets the sum over the tiles of parts [tiles, F], in their order.
template <class W>
void add_tiles(int64_t tiles, int64_t units, const W* parts, int64_t begin, GradOut<W> out) {
  if (!out) return;
  for (int64_t j = 0; j < units; ++j) {
    W sum = 0;
    for (int64_t tile = 0; tile < tiles; ++tile) sum += parts[tile * units + j];
    out.put(begin + j, sum);
  }
}

}  // namespace

template <class T>
void kappa_swiglu_forward(CpuQueue queue, const KappaGateValues<T>& v, T* h) {
  const UnitSlopes<T> of_units(queue, v);
  parallel_ranges(v.n.experts * v.n.slots, row_grain, [&](Range rows) { forward_rows<T>(v, of_units.kappa, h, rows); });
}

// Every tile of slots leaves its sums over slots (bias, scale), which are added up in the order of the tiles.
template <class T>
void kappa_swiglu_backward(CpuQueue queue, const KappaGateValues<T>& v, const KappaGateGradients<T>& d) {
  using W = Wide<T>;
  const int64_t experts = v.n.experts, slots = v.n.slots, units = v.n.units, tiles = ceil_div(slots, slot_tile);
  const Scratch<W> bias_parts(queue, experts * tiles * units), scale_parts(queue, experts * tiles * units);  // [E, tiles, F]
  W *const bias = bias_parts, *const scale = scale_parts;
  const UnitSlopes<T> of_units(queue, v);
  parallel_for(experts * tiles, [&](int64_t tile) {
    const int64_t begin = tile % tiles * slot_tile;
    const Range range{begin, begin + slot_tile < slots ? begin + slot_tile : slots};
    backward_slots<T>(v, d, of_units, tile / tiles, range, {bias + tile * units, scale + tile * units});
  });
  parallel_for(experts, [&](int64_t e) {
    add_tiles<W>(tiles, units, bias + e * tiles * units, e * units, d.bias);
    add_tiles<W>(tiles, units, scale + e * tiles * units, e * units, d.scale);
  });
}

#define KAPPA_INSTANTIATE(T)                                                   \
  template void kappa_swiglu_forward(CpuQueue, const KappaGateValues<T>&, T*); \
  template void kappa_swiglu_backward(CpuQueue, const KappaGateValues<T>&, const KappaGateGradients<T>&);
KAPPA_INSTANTIATE(double)
KAPPA_INSTANTIATE(float)
KAPPA_INSTANTIATE(bfloat16)

}  // namespace kappa
