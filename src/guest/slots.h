#pragma once
// Slots: up to N objects in static memory, of which only those that were ever needed are made, so that a guest that
// starts one command touches one page and not all of them. They stay until the end and are used again.
#include <algorithm>
#include <array>
#include <cstddef>
#include <new>

namespace lmsb::guest {

template <class T, std::size_t N>
class Slots {
 public:
  T* begin() { return reinterpret_cast<T*>(storage_.data()); }
  T* end() { return begin() + made_; }
  T& operator[](std::size_t i) { return begin()[i]; }
  std::size_t size() const { return made_; }

  // One for which `is_free` holds, else a new one; nullptr: all N are in use.
  template <class Predicate>
  T* find_free(Predicate is_free) {
    T* const found = std::find_if(begin(), end(), is_free);
    if (found != end()) return found;
    return made_ < N ? new (begin() + made_++) T() : nullptr;
  }

 private:
  std::size_t made_ = 0;
  alignas(T) std::array<std::byte, sizeof(T) * N> storage_;  // NOLINT: left as it is on purpose
};

}  // namespace lmsb::guest
