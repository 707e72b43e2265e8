#include "control/command_input.h"

#include <chrono>
#include <csignal>
#include <fcntl.h>
#include <memory>
#include <optional>
#include <unistd.h>

#include <gtest/gtest.h>

#include "io/spawn.h"

namespace lmsb::control {
namespace {

class Inputs : public ::testing::Test {
 protected:
  Inputs() {
    ::signal(SIGPIPE, SIG_IGN);
    auto made = input_->make();
    EXPECT_TRUE(made.ok());
    read_ = *std::move(made);
    EXPECT_EQ(::fcntl(read_.get(), F_SETFL, O_NONBLOCK), 0);
    CommandInput::begin(input_, {});
  }

  struct Written {
    std::optional<Status> status;
  };
  std::shared_ptr<Written> write(std::string octets, bool close, io::Deadline deadline = io::Deadline::never()) {
    static constexpr auto kNote = [](io::Task<void> task, std::shared_ptr<Written> out) -> io::Always<void> {
      out->status = co_await std::move(task);
    };
    auto written = std::make_shared<Written>();
    io::spawn(loop_, kNote(CommandInput::write(input_, std::move(octets), close, deadline), written));
    loop_.restart();
    loop_.poll();
    return written;
  }
  // A step of the loop, for which it waits.
  void go_on() {
    loop_.restart();
    loop_.run_one_for(std::chrono::seconds(10));
  }
  Status end_of(const std::shared_ptr<Written>& written) {
    while (!written->status) go_on();
    return *written->status;
  }
  std::string read(std::size_t size) {
    std::string octets;
    while (octets.size() < size) {
      std::string piece(size - octets.size(), '\0');
      const ssize_t n = ::read(read_.get(), piece.data(), piece.size());
      if (n == 0) break;
      if (n < 0) go_on();
      if (n > 0) octets.append(piece, 0, static_cast<std::size_t>(n));
    }
    return octets;
  }

  boost::asio::io_context loop_{1};
  std::shared_ptr<CommandInput> input_ = std::make_shared<CommandInput>(loop_);
  UniqueFd read_;
};

TEST_F(Inputs, GiveWhatIsWrittenInItsOrderAndThenTheEnd) {
  const std::string large(CommandInput::kRoom, 'x');
  EXPECT_TRUE(end_of(write(large, false)).ok());
  const auto second = write("y", true);
  EXPECT_FALSE(second->status) << "there is no room for it yet";
  EXPECT_EQ(read(large.size() + 2), large + "y");
  EXPECT_TRUE(end_of(second).ok());
  EXPECT_EQ(end_of(write("z", false)).error().slug(), "input_closed");
  EXPECT_EQ(end_of(write("z", true)).error().slug(), "input_closed");
  EXPECT_TRUE(end_of(write("", true)).ok()) << "it is closed already";
}

TEST_F(Inputs, TakeAllOrNothing) {
  EXPECT_EQ(end_of(write(std::string(CommandInput::kRoom + 1, 'x'), false)).error().slug(), "input_too_large");
  EXPECT_TRUE(end_of(write(std::string(CommandInput::kRoom, 'x'), false)).ok());
  const Status full = end_of(write("y", true, io::Deadline::in(std::chrono::milliseconds(1))));
  EXPECT_EQ(full.error().slug(), "input_full");
  EXPECT_EQ(read(CommandInput::kRoom), std::string(CommandInput::kRoom, 'x'));
  EXPECT_TRUE(end_of(write("z", true)).ok());
  EXPECT_EQ(read(2), "z");
}

TEST_F(Inputs, SayThatNobodyReads) {
  read_.reset();
  EXPECT_TRUE(end_of(write("x", false)).ok()) << "nobody knows yet";
  for (Status said; said.ok();) said = end_of(write("x", false));
  EXPECT_EQ(end_of(write("x", false)).error().slug(), "input_closed");
}

TEST_F(Inputs, LetGoOfWhoWaitsWhenTheCommandHasEnded) {
  EXPECT_TRUE(end_of(write(std::string(CommandInput::kRoom, 'x'), false)).ok());
  const auto waiting = write("y", false);
  input_->end();
  EXPECT_EQ(end_of(waiting).error().slug(), "input_closed");
}

}  // namespace
}  // namespace lmsb::control
