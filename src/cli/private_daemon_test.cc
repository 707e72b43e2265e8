#include "cli/private_daemon.h"

#include <array>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "base/unique_fd.h"

namespace lmsb::cli {
namespace {

// A shell script that stands for the daemon. Its arguments are serve's: $5 is the run directory.
class Script {
 public:
  explicit Script(const std::string& body) {
    std::string name = "/tmp/lm-sandbox-private-test-XXXXXX";
    directory_ = ::mkdtemp(name.data());
    std::ofstream(path()) << "#!/bin/sh\n" << body << "\n";
    ::chmod(path().c_str(), 0755);
  }
  ~Script() { std::filesystem::remove_all(directory_); }
  std::string path() const { return directory_ + "/daemon"; }

 private:
  std::string directory_;
};

// Ready at once, then there until it is told to end. Its socket is named by its pid.
constexpr const char* kGoodDaemon = R"(mkdir "$5"
trap 'exit 0' TERM
echo "{\"http\":[],\"socket\":\"$5/$$\",\"pid\":$$}" >&3
exec 3>&-
while :; do sleep 0.05; done)";

std::string directory_of(const std::string& socket) {
  return std::filesystem::path(socket).parent_path().parent_path();
}

TEST(PrivateDaemon, IsReadyAndLeavesNothingBehind) {
  const Script script(kGoodDaemon);
  std::string directory;
  pid_t pid = 0;
  {
    const auto daemon = PrivateDaemon::start(script.path(), "");
    ASSERT_TRUE(daemon.ok()) << daemon.error().message();
    directory = directory_of((*daemon)->socket());
    pid = std::stoi(std::filesystem::path((*daemon)->socket()).filename());
    EXPECT_EQ(::kill(pid, 0), 0);
    EXPECT_TRUE(std::filesystem::exists(directory));
  }
  EXPECT_FALSE(std::filesystem::exists(directory));
  EXPECT_EQ(::kill(pid, 0), -1) << "the daemon is left";
}

TEST(PrivateDaemon, ThatCannotStartSaysWhy) {
  const Script script(
      "echo starting; echo 'lm-sandbox: data directory /x is not writable; use --data-dir' >&2; exit 1");
  const auto daemon = PrivateDaemon::start(script.path(), "");
  ASSERT_FALSE(daemon.ok());
  EXPECT_EQ(daemon.error().message(), "start a private daemon: data directory /x is not writable; use --data-dir");
}

TEST(PrivateDaemon, GetsTheDataDirectoryThatWasAskedFor) {
  const Script script(R"(echo "$@"; exit 1)");
  const auto daemon = PrivateDaemon::start(script.path(), "/my/data");
  ASSERT_FALSE(daemon.ok());
  EXPECT_TRUE(daemon.error().message().ends_with("--ready-fd 3 --die-with-parent --started-by " +
                                                 std::to_string(::getpid()) + " --data-dir /my/data"))
      << daemon.error().message();
}

TEST(PrivateDaemon, EndsWithTheSignalThatEndsUs) {
  const Script script(kGoodDaemon);
  std::array<int, 2> pair{};
  ASSERT_EQ(::pipe2(pair.data(), O_CLOEXEC), 0);
  const UniqueFd read_end(pair[0]);
  UniqueFd write_end(pair[1]);
  const pid_t child = ::fork();
  if (child == 0) {  // stands for the CLI
    const auto daemon = PrivateDaemon::start(script.path(), "");
    const std::string socket = daemon.ok() ? (*daemon)->socket() : "";
    if (::write(write_end.get(), socket.data(), socket.size()) > 0) ::pause();
    ::_exit(99);
  }
  write_end.reset();
  std::array<char, 256> text;
  const ssize_t got = ::read(read_end.get(), text.data(), text.size());
  ASSERT_GT(got, 0);
  ASSERT_EQ(::kill(child, SIGINT), 0);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGINT);
  EXPECT_FALSE(std::filesystem::exists(directory_of({text.data(), static_cast<std::size_t>(got)})));
}

}  // namespace
}  // namespace lmsb::cli
