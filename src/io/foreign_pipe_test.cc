#include "io/foreign_pipe.h"

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <fstream>
#include <future>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>

#include <boost/asio/post.hpp>
#include <gtest/gtest.h>

#include "io/run_blocking.h"

namespace lmsb::io {
namespace {

using std::chrono::milliseconds;

struct Ends {
  UniqueFd read, write;
};

Ends make_pipe() {
  std::array<int, 2> ends{};
  EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

Ends make_sockets() {
  std::array<int, 2> ends{};
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

// Keeps the lock of a pipe by splicing a socket into it that says nothing, until it says something or ends.
class Holder {
 public:
  explicit Holder(int pipe)
      : thread_([this, pipe] {
          tid_ = static_cast<int>(::syscall(SYS_gettid));
          (void)!::splice(sockets_.read.get(), nullptr, pipe, nullptr, 65536, 0);
        }) {
    while (!is_in_splice()) std::this_thread::yield();
  }
  ~Holder() { end(); }
  Holder(const Holder&) = delete;
  Holder& operator=(const Holder&) = delete;
  void say(const std::string& text) { EXPECT_GT(::write(sockets_.write.get(), text.data(), text.size()), 0); }
  void let_go() { (void)::shutdown(sockets_.write.get(), SHUT_RDWR); }
  void end() {
    let_go();
    if (thread_.joinable()) thread_.join();
  }

 private:
  bool is_in_splice() const {
    std::ifstream file("/proc/self/task/" + std::to_string(tid_) + "/syscall");
    std::string number;  // "running" while it does not wait
    file >> number;
    return number == std::to_string(SYS_splice);
  }
  Ends sockets_ = make_sockets();
  std::atomic<int> tid_{0};
  std::thread thread_;
};

struct ForeignPipeTest : testing::Test {
  ForeignPipeTest() { std::signal(SIGPIPE, SIG_IGN); }
  boost::asio::io_context loop{1};
  Ends pipe = make_pipe();

  ForeignPipe reader(ForeignPipe::Evict evict = {}) { return {loop, std::move(pipe.read), std::move(evict)}; }
  Result<std::string> read_from(ForeignPipe& from, std::size_t size = ForeignPipe::kMost,
                                Deadline deadline = Deadline::in(std::chrono::minutes(1))) {
    return run_on(loop, from.read(size, deadline));
  }
  void say(const std::string& text) {
    EXPECT_EQ(::write(pipe.write.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
};

TEST_F(ForeignPipeTest, GivesWhatIsThereInOrderAndThenTheEnd) {
  ForeignPipe from = reader();
  say("abcdef");
  EXPECT_EQ(*read_from(from, 4), "abcd");
  EXPECT_FALSE(from.is_empty());
  EXPECT_EQ(*read_from(from), "ef");
  EXPECT_TRUE(from.is_empty());
  say("gh");
  pipe.write.reset();
  EXPECT_EQ(*read_from(from), "gh");
  EXPECT_EQ(*read_from(from), "");
  EXPECT_EQ(*read_from(from), "");
}

TEST_F(ForeignPipeTest, DoesNotHoldItsLoopWhileAnotherKeepsTheLock) {
  say("first");
  Holder holder(pipe.write.get());
  ForeignPipe from = reader();
  const auto late = read_from(from, ForeignPipe::kMost, Deadline::in(milliseconds(150)));
  EXPECT_EQ(late.error().code(), ErrorCode::deadline_exceeded);
  EXPECT_TRUE(from.is_held());
  holder.say(", second");
  std::string all = *read_from(from);  // the same piece: nothing is lost
  while (all.size() < 13) all += *read_from(from);
  EXPECT_EQ(all, "first, second");
  EXPECT_FALSE(from.is_held());
}

TEST_F(ForeignPipeTest, LeavesAHolderInPeaceAsLongAsThereAreHands) {
  say("x");
  Holder holder(pipe.write.get());
  int evicted = 0;
  ForeignPipe from = reader([&evicted](int) { ++evicted; });
  EXPECT_FALSE(read_from(from, ForeignPipe::kMost, Deadline::in(milliseconds(1500))).ok());
  EXPECT_EQ(evicted, 0);
}

TEST_F(ForeignPipeTest, WhoKeepsOneFromBeingClosedKeepsNoOther) {
  say("x");
  Holder holder(pipe.write.get());
  int evicted = 0;
  Ends other = make_pipe();
  {
    ForeignPipe kept = reader([&evicted](int) { ++evicted; });
    ForeignPipe beside(loop, std::move(other.read));
  }
  pollfd look{other.write.get(), 0, 0};
  while (evicted == 0 || ::poll(&look, 1, 0) == 0) {  // POLLERR: nobody reads it any more
    loop.restart();
    loop.run_one_for(milliseconds(10));
  }
  holder.let_go();
}

TEST_F(ForeignPipeTest, HasAHolderEndedWhenNobodyWantsThePipeAnyMore) {
  say("x");
  Holder holder(pipe.write.get());
  int evicted = 0;
  {
    ForeignPipe from = reader([&](int times) {
      EXPECT_EQ(times, evicted++);
      if (times == 1) holder.let_go();  // the first time was in vain
    });
    EXPECT_FALSE(read_from(from, ForeignPipe::kMost, Deadline::in(milliseconds(20))).ok());
  }
  loop.restart();
  loop.run();
  EXPECT_EQ(evicted, 2);
  holder.end();
  EXPECT_EQ(::write(pipe.write.get(), "x", 1), -1);  // it has been closed, too
  EXPECT_EQ(errno, EPIPE);
}

TEST_F(ForeignPipeTest, IsClosedWithoutWaitingForTheLock) {
  Holder holder(pipe.write.get());
  {
    const ForeignPipe from = reader([&](int) { holder.let_go(); });
  }
  loop.restart();
  loop.run();
  holder.end();
  EXPECT_EQ(::write(pipe.write.get(), "x", 1), -1);
}

TEST_F(ForeignPipeTest, EndsWithItsLoopAlthoughAHandIsStuck) {
  say("x");
  Holder holder(pipe.write.get());
  {
    boost::asio::io_context other(1);
    ForeignPipe from(other, std::move(pipe.read));
    EXPECT_FALSE(run_on(other, from.read(1, Deadline::in(milliseconds(20)))).ok());
    ForeignPipe gone = std::move(from);
  }
  holder.end();
}

TEST_F(ForeignPipeTest, RelaysWhatIsThere) {
  const std::shared_ptr<PipeRelay> relay = *PipeRelay::make();
  const Ends sockets = make_sockets();
  ForeignPipe from = reader();
  say("abc");
  EXPECT_EQ(*run_on(loop, from.relay(relay, 2)), 2U);
  EXPECT_EQ(relay->held(), 2U);
  EXPECT_EQ(relay->give_now(sockets.write), 2);
  pipe.write.reset();
  EXPECT_EQ(*run_on(loop, from.relay(relay, 2)), 1U);
  EXPECT_EQ(relay->give_now(sockets.write), 1);
  EXPECT_EQ(*run_on(loop, from.relay(relay, 2)), 0U);
}

TEST_F(ForeignPipeTest, WritesAllToASlowReaderAndSaysWhenThereIsNone) {
  ForeignPipe to(loop, std::move(pipe.write));
  const std::string text(300'000, 'x');
  auto all = std::async(std::launch::async, [&] {
    std::string got;
    std::array<char, 4096> part{};
    while (got.size() < text.size()) {
      const ssize_t n = ::read(pipe.read.get(), part.data(), part.size());
      if (n <= 0) break;
      got.append(part.data(), static_cast<std::size_t>(n));
    }
    return got;
  });
  EXPECT_TRUE(run_on(loop, to.write_all(text)).ok());
  EXPECT_EQ(all.get(), text);
  pipe.read.reset();
  EXPECT_EQ(run_on(loop, to.write_all("x")).error().sys_errno(), EPIPE);
}

TEST_F(ForeignPipeTest, WaitsForNeitherTheLockNorRoomWhenItWrites) {
  ForeignPipe full(loop, std::move(pipe.write));
  const auto late = run_on(loop, full.write_all(std::string(300'000, 'x'), Deadline::in(milliseconds(20))));
  EXPECT_EQ(late.error().code(), ErrorCode::deadline_exceeded);
  Ends held = make_pipe();
  const UniqueFd theirs(::fcntl(held.write.get(), F_DUPFD_CLOEXEC, 0));
  Holder holder(theirs.get());
  ForeignPipe to(loop, std::move(held.write));
  EXPECT_EQ(run_on(loop, to.write_all("x", Deadline::in(milliseconds(150)))).error().code(),
            ErrorCode::deadline_exceeded);
  EXPECT_TRUE(to.is_held());
}

TEST_F(ForeignPipeTest, IsDroppedAfterItsLoopHasEndedWithoutWaitingForTheLock) {
  Holder holder(pipe.write.get());
  {
    boost::asio::io_context other(1);
    auto from = std::make_shared<ForeignPipe>(other, std::move(pipe.read));
    boost::asio::post(other, [from] {});  // goes with the loop, which has closed its hands then
  }
  holder.end();  // it still was in its splice: nobody else would have ended that
  while (::write(pipe.write.get(), "x", 1) == 1) std::this_thread::yield();
  EXPECT_EQ(errno, EPIPE);
}

TEST(PipeHands, HaveNobodyEndedForWorkThatIsDone) {
  boost::asio::io_context loop(1);
  PipeHands::Options options;
  options.patience = milliseconds(1);
  PipeHands hands(loop, options);
  int evicted = 0;
  std::promise<void> done;
  const auto work = hands.take([&] { done.set_value(); }, [&](int) { ++evicted; });
  done.get_future().wait();
  std::this_thread::sleep_for(milliseconds(50));
  hands.give_up(work);  // the loop has not heard of it yet
  EXPECT_EQ(evicted, 0);
}

TEST(PipeHands, LeaveWhatIsNotDoneToThreadsWhenTheyClose) {
  boost::asio::io_context loop(1);
  PipeHands::Options options;
  options.most = 1;
  PipeHands hands(loop, options);
  std::promise<void> end;
  const std::shared_future<void> ended = end.get_future().share();
  const auto slow = [ended] { return std::shared_ptr<void>(nullptr, [ended](void*) { ended.wait(); }); };
  hands.take([ended] { ended.wait(); }, {});
  hands.take([kept = slow()] {}, {});
  hands.close();
  hands.take([kept = slow()] {}, {});
  end.set_value();  // only now: nobody has waited for it
}

TEST(PipeHands, HaveWhoeverKeptOneForLongestEndedWhereTheyRunOut) {
  boost::asio::io_context loop(1);
  PipeHands::Options options;
  options.most = 2;
  options.patience = milliseconds(100);
  options.wait_for_hand = milliseconds(10);
  PipeHands hands(loop, options);
  std::array<std::promise<void>, 2> ends;
  std::array<int, 2> evicted{};
  std::array<std::shared_ptr<PipeHands::Work>, 2> stuck;
  for (std::size_t i = 0; i < 2; ++i)
    stuck.at(i) = hands.take([end = ends.at(i).get_future().share()] { end.wait(); },
                             [&, i](int) {
                               ++evicted.at(i);
                               ends.at(i).set_value();
                             });
  bool is_done = false;
  const auto third = hands.take([&] { is_done = true; }, {});
  EXPECT_TRUE(run_on(loop, PipeHands::Work::wait(third, Deadline::in(std::chrono::minutes(1)))).ok());
  EXPECT_TRUE(is_done);
  EXPECT_EQ(evicted, (std::array<int, 2>{1, 0}));
  ends[1].set_value();
  EXPECT_TRUE(run_on(loop, PipeHands::Work::wait(stuck[1], Deadline::in(std::chrono::minutes(1)))).ok());
}

}  // namespace
}  // namespace lmsb::io
