#include "guest/output_times.h"

#include <algorithm>
#include <cerrno>
#include <sys/mman.h>

namespace lmsb::guest {

int OutputTimes::prepare() {
  void* const memory =
      ::mmap(nullptr, kMarks * sizeof(Mark), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return errno;
  marks_ = static_cast<Mark*>(memory);
  return 0;
}

void OutputTimes::clear() {
  if (marks_ != nullptr) (void)::munmap(marks_, kMarks * sizeof(Mark));
  marks_ = nullptr;
  count_ = 0;
}

void OutputTimes::note(std::uint64_t offset, std::uint64_t now_ms) {
  if (count_ > 0 && now_ms <= marks_[count_ - 1].last_ms) return;
  if (count_ == kMarks) make_room(now_ms);
  marks_[count_++] = {offset, now_ms, now_ms};
}

// As fine as there is room for. With `part` 1 fewer than 150 are left, however long ago the first of them is.
void OutputTimes::make_room(std::uint64_t now_ms) {
  for (std::uint64_t part = kMarks; part > 0 && count_ > kMarks * 3 / 4; part /= 2) merge(now_ms, part);
}

// Makes one of neighbours that came within 1/`part` of the time that has passed since.
void OutputTimes::merge(std::uint64_t now_ms, std::uint64_t part) {
  Mark* kept = marks_;
  for (const Mark* mark = marks_ + 1; mark != end(); ++mark) {
    if (now_ms - mark->last_ms >= (mark->last_ms - kept->first_ms) * part) {
      kept->last_ms = mark->last_ms;
    } else {
      *++kept = *mark;
    }
  }
  count_ = static_cast<std::size_t>(kept - marks_) + 1;
}

OutputTimes::Run OutputTimes::run_at(std::uint64_t offset) const {
  const Mark* const later = std::upper_bound(
      begin(), end(), offset, [](std::uint64_t sought, const Mark& mark) { return sought < mark.offset; });
  Run run;
  if (later != end()) run.end = later->offset;
  if (later != begin()) run.first_ms = (later - 1)->first_ms;
  return run;
}

std::uint64_t OutputTimes::begin_of(std::uint64_t ms) const {
  const Mark* const found = std::partition_point(begin(), end(), [ms](const Mark& mark) { return mark.last_ms < ms; });
  return found == end() ? UINT64_MAX : found->offset;
}

std::uint64_t OutputTimes::end_of(std::uint64_t ms) const {
  const Mark* const found =
      std::partition_point(begin(), end(), [ms](const Mark& mark) { return mark.first_ms <= ms; });
  return found == end() ? UINT64_MAX : found->offset;
}

}  // namespace lmsb::guest
