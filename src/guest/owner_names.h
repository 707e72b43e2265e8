#pragma once
// OwnerNames: the names behind the numbers of a sandbox's own /etc/passwd or /etc/group, read as text: nothing of the
// sandbox is loaded or asked (no NSS). What is malformed, too long or past 256 KiB has no name. One thread.
#include <array>
#include <cstdint>
#include <string_view>

namespace lmsb::guest {

// The name of `id` in the text of such a file; "" when there is none. The first line that has the number counts.
std::string_view find_owner_name(std::string_view file, std::uint32_t id);

class OwnerNames {
 public:
  // Reads `path` at the first question. It is a file of the image, so it may be anything: never waited for.
  explicit OwnerNames(const char* path) : path_(path) {}
  std::string_view name_of(std::uint32_t id);
  // The whole text; "" when there is none.
  std::string_view text();

 private:
  void load();

  struct Known {
    std::uint32_t id = 0;
    std::string_view name;
  };

  const char* path_;
  bool is_loaded_ = false;
  std::size_t size_ = 0;
  std::size_t known_count_ = 0;
  std::array<Known, 16> known_{};  // the latest questions
  char* text_ = nullptr;           // for the life of the process
};

// Of this process: /etc/passwd and /etc/group.
OwnerNames& sandbox_users();
OwnerNames& sandbox_groups();

}  // namespace lmsb::guest
