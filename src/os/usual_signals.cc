#include "os/usual_signals.h"

#include <array>
#include <csignal>
#include <cstdint>
#include <sys/syscall.h>
#include <unistd.h>

namespace lmsb::os {
namespace {

constexpr int kSignals = 64;
constexpr std::size_t kMaskSize = kSignals / 8;

}  // namespace

// Not sigaction(3) and sigprocmask(3): they leave out the two signals that the C library has for itself, which may be
// ignored or blocked as well. Errors: only of SIGKILL and SIGSTOP, which are as they should be.
void set_usual_signals() {
  constexpr std::array<std::uint64_t, 4> kUsual = {};  // as the kernel has it: SIG_DFL, no flags, no mask
  for (int signal = 1; signal <= kSignals; ++signal)
    (void)::syscall(SYS_rt_sigaction, signal, kUsual.data(), nullptr, kMaskSize);
  constexpr std::uint64_t kNone = 0;
  (void)::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &kNone, nullptr, kMaskSize);
}

}  // namespace lmsb::os
