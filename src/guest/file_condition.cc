#include "guest/file_condition.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "guest_protocol/file_records.h"

namespace lmsb::guest {
namespace {

constexpr unsigned kPatienceS = 5;

// Any sandbox that sees the directory may keep the lock, of a volume another's, too: nobody waits for it for long. What
// is not open for reading (O_PATH: EBADF) nobody keeps by this. Returns 0 or an errno.
int lock(int dir) {
  struct sigaction wake {};
  wake.sa_handler = [](int) {};  // without SA_RESTART
  (void)::sigaction(SIGALRM, &wake, nullptr);
  (void)::alarm(kPatienceS);
  const int error = ::flock(dir, LOCK_EX) < 0 ? errno : 0;
  (void)::alarm(0);
  if (error == EINTR) return ETIMEDOUT;
  return error == EBADF ? 0 : error;
}

}  // namespace

int Condition::check(const Place& place) const {
  return text_ == nullptr || is_one_of_them(place) == wants_a_file() ? 0 : guest_protocol::kConditionFailed;
}

int Condition::hold(Place& place) const {
  if (text_ == nullptr) return 0;
  if (const int error = lock(place.dir); error != 0) return error;
  place.exists = ::fstatat(place.dir, place.name.data(), &place.status, AT_SYMLINK_NOFOLLOW) == 0;
  return check(place);
}

bool Condition::is_one_of_them(const Place& place) const {
  if (!place.exists) return false;
  if (text_[1] == '*') return true;
  std::array<char, 80> tag{};
  const auto number = [](auto value) { return static_cast<unsigned long long>(value); };
  const struct stat& s = place.status;
  const int size = std::snprintf(tag.data(), tag.size(), "%llx-%llx-%llx.%llx,", number(s.st_ino), number(s.st_size),
                                 number(s.st_ctim.tv_sec), number(s.st_ctim.tv_nsec));
  for (const char* at = text_ + 1; *at != '\0'; at += std::strcspn(at, ",") + 1)
    if (std::strncmp(at, tag.data(), static_cast<std::size_t>(size)) == 0) return true;
  return false;
}

}  // namespace lmsb::guest
