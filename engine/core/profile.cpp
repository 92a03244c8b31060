#include "engine/core/profile.h"

#include <algorithm>
#include <stdexcept>

namespace kappa {

Profile::Profile() {
  if (std::exchange(current_, this)) throw std::logic_error("one profile at a time");
}
Profile::~Profile() { current_ = nullptr; }

void Profile::restart() {
  for (auto& [key, row] : rows_) row = {.held = row.held, .held_at_peak = row.held};
  products_.clear();
  spans_.clear();
  peak_ = in_use_;
}

void Profile::open(std::string_view op) {
  if (depth_++ > 0) return;
  open_ = &rows_[{op, phase_}];
  for (const auto& [block, bytes] : std::exchange(unowned_, {})) own(block, bytes);
  if (marks_.mark) mark_ = marks_.mark();
  opened_ = Clock::now();
}

void Profile::close() {
  if (--depth_ > 0) return;
  ++open_->calls;
  if (marks_.mark)
    spans_.push_back({open_, mark_, marks_.mark()});
  else
    open_->seconds += std::chrono::duration<double>(Clock::now() - opened_).count();
  open_->product_seconds += 1e-9 * double(product_nanoseconds_.exchange(0));
  open_->flops += double(product_flops_.exchange(0));
  open_ = nullptr;
  touched_.clear();
}

void Profile::settle() {
  for (const Span& span : std::exchange(spans_, {})) span.row->seconds += marks_.seconds(span.from, span.to);
}

void Profile::touch(const void* data, int64_t bytes) {
  if (!open_ || !data || std::ranges::find(touched_, data) != touched_.end()) return;
  touched_.push_back(data);
  open_->bytes += double(bytes);
}

void Profile::took(const void* block, int64_t bytes) {
  if (open_)
    own(block, bytes);
  else
    unowned_.emplace_back(block, bytes);
}

void Profile::own(const void* block, int64_t bytes) {
  blocks_[block] = {open_, bytes};
  open_->held += bytes;
  in_use_ += bytes;
  if (in_use_ <= peak_) return;
  peak_ = in_use_;
  for (auto& [key, row] : rows_) row.held_at_peak = row.held;
}

void Profile::returned(const void* block) {
  if (const auto found = blocks_.find(block); found != blocks_.end()) {
    found->second.owner->held -= found->second.bytes;
    in_use_ -= found->second.bytes;
    blocks_.erase(found);
  } else {
    std::erase_if(unowned_, [&](const auto& entry) { return entry.first == block; });
  }
}

void Profile::add_part(std::chrono::nanoseconds time, int64_t flops) {
  product_nanoseconds_.fetch_add(time.count(), std::memory_order_relaxed);
  product_flops_.fetch_add(flops, std::memory_order_relaxed);
}

}  // namespace kappa
