#include "os/usual_signals.h"

#include <csignal>
#include <fstream>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace lmsb::os {
namespace {

// "SigIgn: 0000000000000000", without its name.
std::string status_field(const std::string& name) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.rfind(name + ":\t", 0) == 0) return line.substr(name.size() + 2);
  return {};
}

TEST(UsualSignals, AreNeitherIgnoredNorBlockedWhateverTheStarterDid) {
  const pid_t child = ::fork();
  if (child == 0) {
    sigset_t all;
    ::sigfillset(&all);
    ::sigprocmask(SIG_SETMASK, &all, nullptr);
    for (int signal = 1; signal <= 64; ++signal) (void)::signal(signal, SIG_IGN);  // SIGKILL and SIGSTOP refuse
    if (status_field("SigIgn") == "0000000000000000") ::_exit(1);
    set_usual_signals();
    if (status_field("SigIgn") != "0000000000000000") ::_exit(2);
    ::_exit(status_field("SigBlk") == "0000000000000000" ? 0 : 3);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace lmsb::os
