// κ-SwiGLU on the GPU: bound by memory. Forward moves 3 elements of [E, S, F] a gate, backward 5 in one pass.
//
// A thread keeps `width` neighbouring units of one expert, whose bias and scale stay in its registers, and walks over a tile of
// slots, 16 bytes at a time. Backward, the sums over slots (bias, scale) stay in the thread, too; the sum over units (confidence)
// is the warp's. Both leave a partial sum per tile, which a second kernel adds up in fixed order: no atomics, the same bits every
// time.

#include "engine/device/cuda_math.h"
#include "engine/device/cuda_warp.h"
#include "engine/memory/scratch.h"
#include "engine/ops/kappa_swiglu/kernels.h"

namespace kappa {
namespace {

constexpr int threads = 128, warps = threads / warp_lanes;
constexpr int64_t forward_slots = 16, backward_slots = 64;  // of a tile

/// bias and scale of a thread's units.
template <class W, int width>
struct Units {
  W bias[width], scale[width];

  template <class T>
  __device__ Units(const KappaGateValues<T>& v, int64_t first) {
    for (int j = 0; j < width; ++j) {
      bias[j] = v.bias[first + j];
      scale[j] = v.scale ? v.scale[first + j] : W(0);
    }
  }
};

template <class T, int width>
__global__ void __launch_bounds__(threads) forward_kernel(KappaGateValues<T> v, T* h) {
  using W = Wide<T>;
  using Math = MathFor<T>;
  const int64_t expert = blockIdx.z, unit = (int64_t(blockIdx.y) * threads + threadIdx.x) * width;
  if (unit >= v.n.units) return;
  const Units<W, width> units(v, expert * v.n.units + unit);
  const W log_slope_max = std::log(*v.slope_max);
  const int64_t first = blockIdx.x * forward_slots, end = first + forward_slots < v.n.slots ? first + forward_slots : v.n.slots;
  for (int64_t slot = first; slot < end; ++slot) {
    const int64_t row = expert * v.n.slots + slot, i = row * v.n.units + unit;
    const W c = v.scale ? v.confidence[row] : W(0);
    const auto gate = load_pack<width>(v.gate + i), up = load_pack<width>(v.up + i);
    Pack<T, width> out;
    for (int j = 0; j < width; ++j) {
      const KappaExponent<W, Math> exponent(units.bias[j] + units.scale[j] * c);
      out[j] = T(KappaGatePoint<W, Math>(gate[j], up[j], kappa_of<T, Math>(exponent.t, log_slope_max)).h());
    }
    store_pack(h + i, out);
  }
}

/// Sums over one tile's units or slots.
template <class W>
struct TileSums {
  W* confidence;    // [unit tiles, E, S]
  W *bias, *scale;  // [slot tiles, E, F]
};

template <class T, int width>
__global__ void __launch_bounds__(threads)
    backward_kernel(KappaGateValues<T> v, KappaGateGradients<T> d, TileSums<Wide<T>> sums) {
  using W = Wide<T>;
  using Math = MathFor<T>;
  constexpr int64_t tile_units = warp_lanes * width;
  const int64_t expert = blockIdx.z, unit_tile = int64_t(blockIdx.y) * warps + threadIdx.x / warp_lanes;
  if (unit_tile * tile_units >= v.n.units) return;  // the whole warp
  const int64_t unit = unit_tile * tile_units + threadIdx.x % warp_lanes * width, p = expert * v.n.units + unit;
  const bool inside = unit < v.n.units;
  const Units<W, width> units(v, inside ? p : expert * v.n.units);
  const W log_slope_max = std::log(*v.slope_max);
  const int64_t first = blockIdx.x * backward_slots,
                end = first + backward_slots < v.n.slots ? first + backward_slots : v.n.slots;

  W dbias[width] = {}, dscale[width] = {};
  for (int64_t slot = first; slot < end; ++slot) {
    const int64_t row = expert * v.n.slots + slot, i = row * v.n.units + unit;
    const W c = v.scale ? v.confidence[row] : W(0);
    W dc = 0;
    if (inside) {
      const auto gate = load_pack<width>(v.gate + i), up = load_pack<width>(v.up + i), dh = load_pack<width>(d.dh + i);
      W dgate[width], dup[width];
      for (int j = 0; j < width; ++j) {
        const KappaExponent<W, Math> exponent(units.bias[j] + units.scale[j] * c);
        const W kappa = kappa_of<T, Math>(exponent.t, log_slope_max);
        const KappaGatePoint<W, Math> point(gate[j], up[j], kappa);
        const W out = dh[j], dz = out * point.dh_dkappa() * (kappa * log_slope_max * exponent.rest);
        dgate[j] = out * point.dh_dg();
        dup[j] = out * point.dh_du();
        dbias[j] += dz;
        dscale[j] += dz * c;
        dc += dz * units.scale[j];
      }
      if (d.gate) put_pack<width>(d.gate, i, dgate);
      if (d.up) put_pack<width>(d.up, i, dup);
    }
    if (!sums.confidence) continue;  // all threads alike
    dc = warp_sum(dc);
    if (threadIdx.x % warp_lanes == 0) sums.confidence[unit_tile * v.n.experts * v.n.slots + row] = dc;
  }
  if (!inside) return;
  const int64_t place = int64_t(blockIdx.x) * v.n.experts * v.n.units + p;
  for (int j = 0; j < width; ++j) {
    if (sums.bias) sums.bias[place + j] = dbias[j];
    if (sums.scale) sums.scale[place + j] = dscale[j];
  }
}

/// out[i] gets Σ_tile parts[tile, i].
template <class W>
__global__ void __launch_bounds__(threads) add_tiles_kernel(const W* parts, int64_t tiles, int64_t n, GradOut<W> out) {
  const int64_t i = int64_t(blockIdx.x) * threads + threadIdx.x;
  if (i >= n) return;
  W sum = 0;
  for (int64_t tile = 0; tile < tiles; ++tile) sum += parts[tile * n + i];
  out.put(i, sum);
}

/// Partial sums [tiles, n] of what goes to `out`, if anybody wants that.
template <class W>
class Parts {
 public:
  Parts(GridQueue queue, int64_t tiles, int64_t n, GradOut<W> out)
      : queue_(queue), tiles_(tiles), n_(n), out_(out), memory_(queue, out ? tiles * n : 0) {}
  W* data() const { return out_ ? static_cast<W*>(memory_) : nullptr; }
  void add_up() const {
    if (out_)
      launch("kappa_swiglu_sums", add_tiles_kernel<W>, {blocks_for(n_, threads), threads}, queue_, data(), tiles_, n_, out_);
  }

 private:
  GridQueue queue_;
  int64_t tiles_, n_;
  GradOut<W> out_;
  Scratch<W> memory_;
};

template <class T, int width>
void forward(GridQueue queue, const KappaGateValues<T>& v, T* h) {
  const Grid grid{.blocks = {blocks_for(v.n.slots, forward_slots), blocks_for(v.n.units, threads * width), unsigned(v.n.experts)},
                  .threads = threads};
  launch("kappa_swiglu_forward", forward_kernel<T, width>, grid, queue, v, h);
}

template <class T, int width>
void backward(GridQueue queue, const KappaGateValues<T>& v, const KappaGateGradients<T>& d) {
  using W = Wide<T>;
  const unsigned slot_tiles = blocks_for(v.n.slots, backward_slots), unit_tiles = blocks_for(v.n.units, warp_lanes * width);
  const Parts<W> bias(queue, slot_tiles, v.n.experts * v.n.units, d.bias);
  const Parts<W> scale(queue, slot_tiles, v.n.experts * v.n.units, v.scale ? d.scale : GradOut<W>{});
  const Parts<W> confidence(queue, unit_tiles, v.n.experts * v.n.slots, v.scale ? d.confidence : GradOut<W>{});
  const Grid grid{.blocks = {slot_tiles, blocks_for(unit_tiles, warps), unsigned(v.n.experts)}, .threads = threads};
  launch("kappa_swiglu_backward", backward_kernel<T, width>, grid, queue, v, d,
         TileSums<W>{confidence.data(), bias.data(), scale.data()});
  confidence.add_up();
  bias.add_up();
  scale.add_up();
}

}  // namespace

template <class T>
void kappa_swiglu_forward(GridQueue queue, const KappaGateValues<T>& v, T* h) {
  if (in_packs<T>(v.n.units, v.gate, v.up, h))
    forward<T, pack_width<T>>(queue, v, h);
  else
    forward<T, 1>(queue, v, h);
}

template <class T>
void kappa_swiglu_backward(GridQueue queue, const KappaGateValues<T>& v, const KappaGateGradients<T>& d) {
  if (in_packs<T>(v.n.units, v.gate, v.up, d.dh, d.gate.data, d.up.data))
    backward<T, pack_width<T>>(queue, v, d);
  else
    backward<T, 1>(queue, v, d);
}

#define KAPPA_INSTANTIATE(T)                                                    \
  template void kappa_swiglu_forward(GridQueue, const KappaGateValues<T>&, T*); \
  template void kappa_swiglu_backward(GridQueue, const KappaGateValues<T>&, const KappaGateGradients<T>&);
KAPPA_INSTANTIATE(double)
KAPPA_INSTANTIATE(float)
KAPPA_INSTANTIATE(bfloat16)

}  // namespace kappa
