#pragma once
// SignalsBlocked: while it lives no signal comes to its thread, nor to a thread that is started meanwhile.
#include <csignal>
#include <pthread.h>

namespace lmsb::io {

// Signals are for the main thread: another thread must not be the one that takes them.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

}  // namespace lmsb::io
