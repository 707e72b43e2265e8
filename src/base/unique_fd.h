#pragma once
// UniqueFd owns one file descriptor; BorrowedFd names one that somebody else owns.
#include <unistd.h>
#include <utility>

namespace lmsb {

// Owns one file descriptor. Move-only, not thread-safe. Close errors are ignored: data that must be durable is
// fsync()ed before, never trusted to close().
class [[nodiscard]] UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& o) noexcept : fd_(std::exchange(o.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& o) noexcept {
    if (this != &o) reset(o.release());
    return *this;
  }
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  ~UniqueFd() { reset(); }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  [[nodiscard]] int release() { return std::exchange(fd_, -1); }
  void reset(int fd = -1) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }

 private:
  int fd_ = -1;
};

// A descriptor owned elsewhere, valid for the duration of the call it is passed to. Storing one needs a comment
// that says who owns it.
class BorrowedFd {
 public:
  explicit BorrowedFd(int fd) : fd_(fd) {}
  BorrowedFd(const UniqueFd& fd) : fd_(fd.get()) {}  // NOLINT(google-explicit-constructor)
  int get() const { return fd_; }

 private:
  int fd_;
};

}  // namespace lmsb
