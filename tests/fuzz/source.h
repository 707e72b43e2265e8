#pragma once
// What an archive's reader reads: octets in memory, in small pieces.
#include <algorithm>
#include <cstring>
#include <string_view>

#include "os/archive.h"

namespace lmsb::fuzz {

class Source final : public os::ArchiveSource {
 public:
  explicit Source(std::string_view octets) : rest_(octets) {}
  ssize_t read(void* data, std::size_t size) override {
    const std::string_view part = rest_.substr(0, std::min<std::size_t>(size, 700));
    rest_.remove_prefix(part.size());
    if (!part.empty()) std::memcpy(data, part.data(), part.size());
    return static_cast<ssize_t>(part.size());
  }

 private:
  std::string_view rest_;
};

}  // namespace lmsb::fuzz
