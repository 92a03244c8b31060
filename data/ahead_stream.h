#pragma once
// Another stream's slices, made ahead of their use by several threads.
//
// A worker reads the next slice, while no other reads, and then does the rest of the work on it, tokenising, while others read
// on: files are read once, from front to back, and what is given does not depend on the number of workers. Ahead of the slice
// that is asked for next there are never more than four a worker.

#include <condition_variable>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

#include "data/segment_stream.h"

namespace kappa {

class AheadStream : public SegmentStream {
 public:
  /// The workers begin when the first slice is asked for, at least one.
  AheadStream(std::unique_ptr<SegmentStream> stream, int64_t workers);
  /// Waits for the slices that are being made.
  ~AheadStream() override;

  /// What reading or making slice `index` threw is thrown here. Any order is possible; if `index` does not follow the one before,
  /// the workers begin anew there.
  std::function<Slice()> read_slice(int64_t index) const override;
  bool begins_epoch(int64_t index) const override;
  Segment segment(int64_t number) const override;
  uint64_t fingerprint() const override { return stream_->fingerprint(); }
  RankOf rank() const override { return stream_->rank(); }

 private:
  struct Made {
    Slice slice;
    std::exception_ptr failure;
  };

  void start(int64_t index) const;
  void stop() const;
  void work() const;
  /// What read(*stream_) gives, while no one else reads.
  template <class Read>
  auto alone(std::unique_lock<std::mutex>& lock, Read&& read) const;

  std::unique_ptr<SegmentStream> stream_;
  int64_t workers_;

  mutable std::mutex mutex_;  // of all below
  mutable std::condition_variable changed_;
  mutable std::vector<std::thread> threads_;
  mutable std::map<int64_t, Made> made_;  // by index
  mutable int64_t next_to_read_ = 0, next_asked_ = 0;
  mutable bool reading_ = false, stopped_ = false;
};

}  // namespace kappa
