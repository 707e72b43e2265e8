#include "guest/owner_names.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/unique_fd.h"

namespace lmsb::guest {
namespace {

constexpr std::size_t kMaxName = 255;
constexpr std::size_t kMaxFile = 256 * 1024;

// Takes the text up to the next colon.
std::string_view take_field(std::string_view& line) {
  const std::string_view field = line.substr(0, line.find(':'));
  line.remove_prefix(std::min(field.size() + 1, line.size()));
  return field;
}

bool is_number(std::string_view text, std::uint32_t number) {
  std::uint64_t value = 0;
  if (text.empty() || text.size() > 10) return false;
  for (const char digit : text) {
    if (digit < '0' || digit > '9') return false;
    value = value * 10 + static_cast<std::uint64_t>(digit - '0');
  }
  return value == number;
}

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= kMaxName &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7F; });
}

}  // namespace

// NAME:PASSWORD:NUMBER:...
std::string_view find_owner_name(std::string_view file, std::uint32_t id) {
  while (!file.empty()) {
    std::string_view line = file.substr(0, file.find('\n'));
    file.remove_prefix(std::min(line.size() + 1, file.size()));
    const std::string_view name = take_field(line);
    (void)take_field(line);
    if (is_number(take_field(line), id) && is_name(name)) return name;
  }
  return {};
}

void OwnerNames::load() {
  is_loaded_ = true;
  const UniqueFd file(::open(path_, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  struct stat status {};
  if (!file || ::fstat(file.get(), &status) < 0 || !S_ISREG(status.st_mode)) return;
  text_ = static_cast<char*>(std::malloc(kMaxFile));
  while (text_ != nullptr && size_ < kMaxFile) {
    const ssize_t n = ::read(file.get(), text_ + size_, kMaxFile - size_);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    size_ += static_cast<std::size_t>(n);
  }
}

std::string_view OwnerNames::text() {
  if (!is_loaded_) load();
  return {text_, size_};
}

std::string_view OwnerNames::name_of(std::uint32_t id) {
  const std::string_view file = text();
  const std::size_t known = std::min(known_count_, known_.size());
  for (std::size_t i = 0; i < known; ++i)
    if (known_[i].id == id) return known_[i].name;
  const std::string_view name = find_owner_name(file, id);
  known_[known_count_++ % known_.size()] = {id, name};
  return name;
}

OwnerNames& sandbox_users() {
  static OwnerNames users("/etc/passwd");
  return users;
}

OwnerNames& sandbox_groups() {
  static OwnerNames groups("/etc/group");
  return groups;
}

}  // namespace lmsb::guest
