#include "cli/interrupts.h"

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <sys/eventfd.h>
#include <unistd.h>

namespace lmsb::cli {
namespace {

// What a signal handler reaches.
volatile std::sig_atomic_t marked = 0;
volatile std::sig_atomic_t event = -1;

extern "C" void mark(int) {
  const int before = errno;
  if (marked != 0) (void)::raise(SIGTERM);
  marked = 1;
  const std::uint64_t one = 1;
  (void)!::write(event, &one, sizeof one);
  errno = before;
}

}  // namespace

Interrupts::Interrupts() : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!fd_) return;
  marked = 0;
  event = fd_.get();
  struct sigaction action {};
  action.sa_handler = mark;
  action.sa_flags = SA_RESTART;  // who waits looks at the descriptor
  (void)::sigaction(SIGINT, &action, &before_);
}

Interrupts::~Interrupts() {
  if (fd_) (void)::sigaction(SIGINT, &before_, nullptr);
}

bool Interrupts::has_come() const { return fd_ && marked != 0; }

void Interrupts::clear() {
  sigset_t interrupt;
  sigset_t before;
  sigemptyset(&interrupt);
  sigaddset(&interrupt, SIGINT);
  (void)::sigprocmask(SIG_BLOCK, &interrupt, &before);  // one that comes in the middle would count half
  std::uint64_t count = 0;
  (void)!::read(fd_.get(), &count, sizeof count);
  marked = 0;
  (void)::sigprocmask(SIG_SETMASK, &before, nullptr);
}

}  // namespace lmsb::cli
