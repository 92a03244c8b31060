#include "data/ahead_stream.h"

#include <algorithm>

#include "data/ahead.h"

namespace kappa {

static constexpr int64_t ahead_per_worker = 4;

AheadStream::AheadStream(std::unique_ptr<SegmentStream> stream, int64_t workers)
    : stream_(std::move(stream)), workers_(std::max<int64_t>(workers, 1)) {}

AheadStream::~AheadStream() { stop(); }

void AheadStream::start(int64_t index) const {
  stop();
  made_.clear();
  next_to_read_ = next_asked_ = index;
  stopped_ = false;
  for (int64_t w = 0; w < workers_; ++w) threads_.emplace_back([this] { work(); });
}

void AheadStream::stop() const {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

template <class Read>
auto AheadStream::alone(std::unique_lock<std::mutex>& lock, Read&& read) const {
  changed_.wait(lock, [&] { return !reading_; });
  reading_ = true;
  lock.unlock();
  struct Done {
    const AheadStream& stream;
    std::unique_lock<std::mutex>& lock;
    ~Done() {
      lock.lock();
      stream.reading_ = false;
      stream.changed_.notify_all();
    }
  } const done{*this, lock};
  return read(*stream_);
}

void AheadStream::work() const {
  give_way();
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return stopped_ || (!reading_ && next_to_read_ < next_asked_ + ahead_per_worker * workers_); });
    if (stopped_) return;
    const int64_t index = next_to_read_++;
    Made made{};
    try {
      const auto rest = alone(lock, [&](const SegmentStream& stream) { return stream.read_slice(index); });
      lock.unlock();
      made.slice = rest();
    } catch (...) {
      made.failure = std::current_exception();
    }
    if (!lock.owns_lock()) lock.lock();
    made_[index] = std::move(made);
    changed_.notify_all();
  }
}

std::function<Slice()> AheadStream::read_slice(int64_t index) const {
  if (threads_.empty() || index != next_asked_) start(index);
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return made_.contains(index); });
  Made made = std::move(made_.extract(index).mapped());
  ++next_asked_;
  changed_.notify_all();
  if (made.failure) std::rethrow_exception(made.failure);
  return [slice = std::move(made.slice)]() mutable { return std::move(slice); };
}

bool AheadStream::begins_epoch(int64_t index) const {
  std::unique_lock lock(mutex_);
  return alone(lock, [&](const SegmentStream& stream) { return stream.begins_epoch(index); });
}

Segment AheadStream::segment(int64_t number) const {
  std::unique_lock lock(mutex_);
  return alone(lock, [&](const SegmentStream& stream) { return stream.segment(number); });
}

}  // namespace kappa
