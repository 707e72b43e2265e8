#include "base/signal_name.h"

#include <csignal>

#include <gtest/gtest.h>

namespace lmsb {
namespace {

TEST(SignalName, IsTakenAsPeopleWriteIt) {
  for (const char* name : {"TERM", "SIGTERM", "term", "sigterm", "SigTerm", "15"})
    EXPECT_EQ(parse_signal(name), SIGTERM) << name;
  EXPECT_EQ(parse_signal("USR1"), SIGUSR1);
  EXPECT_EQ(parse_signal("SIGWINCH"), SIGWINCH);
}

TEST(SignalName, OfASignalWithSeveralIsAnyOfThem) {
  EXPECT_EQ(parse_signal("IOT"), SIGABRT);
  EXPECT_EQ(parse_signal("SIGCLD"), SIGCHLD);
  EXPECT_EQ(parse_signal("POLL"), SIGPOLL);
  EXPECT_EQ(parse_signal("IO"), SIGIO);
}

TEST(SignalName, OfThoseForProgramsCountsFromTheirEnds) {
  EXPECT_EQ(parse_signal("RTMIN"), SIGRTMIN);
  EXPECT_EQ(parse_signal("SIGRTMIN+3"), SIGRTMIN + 3);
  EXPECT_EQ(parse_signal("rtmax-1"), SIGRTMAX - 1);
  EXPECT_EQ(parse_signal("64"), 64);
  for (const char* name : {"RTMIN-1", "RTMAX+1", "RTMIN+", "RTMIN+31", "RTMAX-99", "RTMIN+-1", "RTMIN 1"})
    EXPECT_EQ(parse_signal(name), std::nullopt) << name;
}

TEST(SignalName, ThatIsNoneIsRefused) {
  for (const char* name :
       {"", "0", "-1", "65", "99999999999", "SIG", "SIGNOTHING", " TERM", "15 ", "1.5", "SIGSIGTERM"})
    EXPECT_EQ(parse_signal(name), std::nullopt) << name;
}

}  // namespace
}  // namespace lmsb
