#include "control/attached.h"

#include <csignal>

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include "io/spawn.h"

namespace lmsb::control {
namespace {

class AttachedTest : public testing::Test {
 protected:
  Attachment attach(std::string id = "prc_a") {
    Command command;
    command.cmd = std::string("sleep 1");
    return Attachment(loop_, all_, attached_info(command, "/tmp", "a0000000000000000000", 5, std::move(id)),
                      [this](int signal, bool whole_tree) -> Status {
                        sent_.emplace_back(signal, whole_tree);
                        return answer_;
                      });
  }
  void run() {
    loop_.restart();
    while (loop_.poll() > 0) {
    }
  }
  static io::Always<void> wait(std::shared_ptr<AttachedCommand> command, bool* told) {
    const Status ended = co_await command->wait_end(io::Deadline::never());
    *told = ended.ok();
  }

  boost::asio::io_context loop_;
  std::shared_ptr<AttachedCommands> all_ = std::make_shared<AttachedCommands>();
  std::vector<std::pair<int, bool>> sent_;
  Status answer_;
};

TEST_F(AttachedTest, CommandIsFoundAsLongAsItRuns) {
  std::string id;
  {
    const Attachment attachment = attach();
    ASSERT_EQ(all_->all().size(), 1U);
    const ProcessInfo info = all_->all().front()->info();
    EXPECT_TRUE(info.is_attached);
    EXPECT_EQ(std::get<std::string>(info.cmd), "sleep 1");
    EXPECT_EQ(info.pid, 5);
    EXPECT_EQ(info.cwd, "/tmp");
    EXPECT_FALSE(info.started_at.empty());
    id = info.id;
    EXPECT_EQ(id, "prc_a");
    EXPECT_TRUE(all_->find(id));
  }
  EXPECT_FALSE(all_->find(id));
  EXPECT_FALSE(all_->find(""));
}

TEST_F(AttachedTest, SignalsReachItUntilItEnds) {
  std::shared_ptr<AttachedCommand> command;
  {
    const Attachment attachment = attach("prc_a");
    command = all_->find("prc_a");
    EXPECT_TRUE(command->signal(SIGTERM, false).ok());
    EXPECT_EQ(sent_.back(), std::pair(SIGTERM, false));
    EXPECT_FALSE(attachment.was_ended());
  }
  EXPECT_EQ(command->signal(SIGTERM, false).error().slug(), "process_ended");
}

TEST_F(AttachedTest, EndKillsAllOfItAndItsCallerIsTold) {
  const Attachment attachment = attach("prc_a");
  EXPECT_TRUE(all_->end(all_->find("prc_a")).ok());
  EXPECT_EQ(sent_.back(), std::pair(SIGKILL, true));
  EXPECT_TRUE(attachment.was_ended());
  EXPECT_FALSE(all_->find("prc_a"));
}

TEST_F(AttachedTest, AnEndThatCouldNotBeAskedForIsNone) {
  answer_ = Error(ErrorCode::resource_exhausted, "full").with_slug("sandbox_busy");
  const Attachment attachment = attach("prc_a");
  EXPECT_EQ(all_->end(all_->find("prc_a")).error().slug(), "sandbox_busy");
  EXPECT_FALSE(attachment.was_ended());
  EXPECT_TRUE(all_->find("prc_a"));
}

TEST_F(AttachedTest, WhoWaitsIsToldHowItEndedWithoutItsOutput) {
  bool is_told = false;
  std::shared_ptr<AttachedCommand> command;
  {
    Attachment attachment = attach("prc_a");
    command = all_->find("prc_a");
    io::spawn(loop_, wait(command, &is_told));
    run();
    EXPECT_FALSE(is_told);
    ExecResult result;
    result.outcome = Outcome::exited;
    result.exit_code = 3;
    result.out.data = "secret of its caller";
    attachment.tell_end(result);
  }
  run();
  EXPECT_TRUE(is_told);
  ASSERT_TRUE(command->info().result);
  EXPECT_EQ(command->info().result->exit_code, 3);
  EXPECT_EQ(command->info().result->out.data, "");
  EXPECT_GE(command->info().ended_at, command->info().started_at);
}

TEST_F(AttachedTest, WhoWaitsForOneWhoseCallerGoesIsNotKept) {
  bool is_told = false;
  {
    const Attachment attachment = attach("prc_a");
    io::spawn(loop_, wait(all_->find("prc_a"), &is_told));
    run();
  }
  run();
  EXPECT_TRUE(is_told);
}

TEST(ShownCommand, IsItsBeginningOfWholeCharacters) {
  EXPECT_EQ(std::get<std::string>(shown_command(std::string("ls"))), "ls");
  const std::string text = std::get<std::string>(shown_command(std::string(4095, 'x') + "\xe2\x82\xac"));
  EXPECT_EQ(text, std::string(4095, 'x') + "...");
  const auto argv = std::get<Argv>(shown_command(Argv{"a", std::string(10'000, 'b'), "c"}));
  EXPECT_EQ(argv.size(), 2U);
}

}  // namespace
}  // namespace lmsb::control
