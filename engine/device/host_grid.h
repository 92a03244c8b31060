#pragma once
// The host's model of a CUDA grid: what cuda_grid.h launches kernels on where there is no GPU.
//
// Blocks run one after the other; the threads of a block are fibers that run until they wait. A barrier opens when every thread
// that is still alive waits there; threads that wait for each other in vain, or at different lines, end the launch with an error
// that names the kernel and the place. Within a block one warp runs as far ahead of the others as its barriers allow, so that a
// kernel which forgot one computes something else under another order; blocks are taken in that order too, so that one which
// relies on an earlier block does. Shared memory is fresh in every block, full of NaN patterns, and watched at its end.
//
// Not modelled: memory that one block writes and another reads within a launch, lanes that run in lockstep without saying so,
// time.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <stdexcept>

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  constexpr dim3(unsigned vx = 1, unsigned vy = 1, unsigned vz = 1) : x(vx), y(vy), z(vz) {}
};

namespace kappa::host_grid {

constexpr unsigned warp_size = 32;

inline thread_local constinit dim3 threadIdx{}, blockIdx{}, blockDim{}, gridDim{};

/// A kernel that is wrong: the message begins with its name.
struct KernelError : std::logic_error {
  using std::logic_error::logic_error;
};

/// The order in which blocks, the warps of a block and the lanes of a warp are resumed.
enum class Order { ascending, descending, shuffled };
/// The order of this thread's launches while it is alive; ascending otherwise.
class OrderScope {
 public:
  explicit OrderScope(Order order, uint64_t seed = 1);
  ~OrderScope();
  OrderScope(const OrderScope&) = delete;
  OrderScope& operator=(const OrderScope&) = delete;

 private:
  Order outer_;
  uint64_t outer_seed_;
};

/// A line of a kernel, by default the one that calls: lanes that must meet have to meet at one line. (std::source_location, which
/// clang 14 does not have.)
struct Site {
  const char* file;
  int line;
  constexpr Site(const char* in = __builtin_FILE(), int at = __builtin_LINE()) : file(in), line(at) {}
};

/// __syncthreads: returns once every living thread of the block waits at this line.
void block_barrier(Site where);

/// The one warp primitive. The lanes of `mask` meet here, each with a value of `size` ≤ 16 bytes; each leaves with those of all
/// in all[lane].
void meet(unsigned mask, const void* value, size_t size, void* all, Site where);
unsigned lane();
/// The values that met; asking for one of a lane outside of the mask is an error.
[[noreturn]] void absent_lane(unsigned lane, unsigned mask);

template <class T>
class Met {
 public:
  Met(unsigned mask, const T& value, Site where) : mask_(mask) {
    static_assert(sizeof(T) <= 16);
    meet(mask, &value, sizeof(T), values_, where);
  }
  bool has(unsigned l) const { return l < warp_size && (mask_ >> l & 1); }
  const T& operator[](unsigned l) const {
    if (!has(l)) absent_lane(l, mask_);
    return values_[l];
  }

 private:
  T values_[warp_size];
  unsigned mask_;
};

/// A load or store of several elements at once has to be aligned.
[[noreturn]] void misaligned(const void* address, size_t bytes);
inline void expect_aligned(const void* address, size_t bytes) {
  if (reinterpret_cast<uintptr_t>(address) % bytes != 0) misaligned(address, bytes);
}

/// The block's shared variable that `key` names, of `bytes`; the same for all its threads.
void* shared_variable(const void* key, size_t bytes);
/// The shared memory that was asked for at launch; an error if it is less than `bytes`.
void* dynamic_shared_memory(size_t bytes);

/// Runs `thread_body` for every thread of every block. Throws KernelError where the GPU would refuse, hang or compute nonsense.
void run_grid(const char* kernel, dim3 blocks, dim3 threads, size_t shared_bytes, const std::function<void()>& thread_body);

}  // namespace kappa::host_grid
