#include "guest_client/kept_process.h"

#include <cerrno>
#include <cstring>

#include <gtest/gtest.h>

#include "base/clock.h"
#include "io/run_blocking.h"
#include "os/message_socket.h"

namespace lmsb::guest_client {
namespace {

using guest_protocol::Header;
using guest_protocol::Kind;

constexpr std::uint32_t kFirst = 1;  // the sequence of the first request

// A channel with one kept process; the guest is the test.
class KeptProcessTest : public testing::Test {
 protected:
  explicit KeptProcessTest(std::chrono::milliseconds answer_limit = Channel::kAnswerLimit) {
    UniqueFd ours;
    EXPECT_TRUE(message_socket_pair(ours, guest_));
    channel_ = std::make_unique<Channel>(loop_, std::move(ours), answer_limit);
    StartSpec spec;
    spec.argv = {"true"};
    spec.keep_stdin = true;
    auto process = channel_->start_kept(spec, -1);
    EXPECT_TRUE(process.ok());
    process_ = std::make_unique<KeptProcess>(*std::move(process));
    guest_protocol::StartRequest request{};
    EXPECT_GT(hear(request), 0U);
    EXPECT_EQ(request.output, guest_protocol::Output::kept);
    EXPECT_EQ(request.keep_stdin, 1U);
  }

  // The next message to the guest; returns what stands behind it.
  template <class Message>
  std::size_t hear(Message& message, std::string* data = nullptr) {
    std::string buffer(sizeof message + guest_protocol::kMaxPiece, '\0');
    ReceivedFds fds;
    const ssize_t size = receive_message(guest_.get(), buffer.data(), buffer.size(), fds, MSG_DONTWAIT);
    if (size < static_cast<ssize_t>(sizeof message)) return 0;
    std::memcpy(&message, buffer.data(), sizeof message);
    if (data != nullptr) *data = buffer.substr(sizeof message, static_cast<std::size_t>(size) - sizeof message);
    return static_cast<std::size_t>(size) - sizeof message + 1;
  }
  bool is_silent() {
    Header header{};
    return hear(header) == 0;
  }
  template <class Message>
  void say(const Message& message, std::string_view data = {}) {
    const std::string octets = std::string(reinterpret_cast<const char*>(&message), sizeof message) + std::string(data);
    const iovec part{const_cast<char*>(octets.data()), octets.size()};
    ASSERT_TRUE(send_message(guest_.get(), &part, 1));
    run();
  }
  void run() {
    loop_.restart();
    while (loop_.poll() > 0) {
    }
  }
  template <class T>
  struct Pending {
    std::optional<Result<T>> result;
  };
  template <class T>
  std::shared_ptr<Pending<T>> begin(io::Task<T> task) {
    auto pending = std::make_shared<Pending<T>>();
    io::spawn(loop_, wait_for(std::move(task), pending));
    run();
    return pending;
  }
  template <class T>
  static io::Always<void> wait_for(io::Task<T> task, std::shared_ptr<Pending<T>> pending) {
    pending->result = co_await std::move(task);
  }
  // The answer to a read that was heard.
  guest_protocol::OutputPiece answer_to(const guest_protocol::ReadOutput& read, std::uint32_t size) {
    guest_protocol::OutputPiece piece{};
    piece.header = {Kind::output, kFirst};
    piece.ticket = read.ticket;
    piece.stream = read.stream;
    piece.offset = read.offset;
    piece.end = read.offset + size;
    piece.size = size;
    return piece;
  }

  boost::asio::io_context loop_{1};
  UniqueFd guest_;
  std::unique_ptr<Channel> channel_;
  std::unique_ptr<KeptProcess> process_;
};

TEST_F(KeptProcessTest, HasBegunWhenTheGuestSaysSoWithoutHandingOutPipes) {
  const auto begun = begin(process_->wait_started(io::Deadline::never()));
  say(guest_protocol::Started{{Kind::started, kFirst}, 7});
  ASSERT_TRUE(begun->result && begun->result->ok());
  EXPECT_EQ(process_->pid(), 7);
}

TEST_F(KeptProcessTest, ReadsWhatStandsAtAnOffset) {
  const auto read = begin(process_->read(Stream::err, 5, io::Deadline::never()));
  guest_protocol::ReadOutput request{};
  ASSERT_GT(hear(request), 0U);
  EXPECT_EQ(request.offset, 5U);
  EXPECT_EQ(request.stream, Stream::err);
  say(answer_to(request, 3), "abc");
  ASSERT_TRUE(read->result && read->result->ok());
  EXPECT_EQ((**read->result).data, "abc");
  EXPECT_EQ((**read->result).end, 8U);
}

TEST_F(KeptProcessTest, WaitsForOutputWithoutAskingAgainUntilThereIsNews) {
  const auto read = begin(process_->read(Stream::out, 0, io::Deadline::never()));
  guest_protocol::ReadOutput request{};
  ASSERT_GT(hear(request), 0U);
  say(answer_to(request, 0));
  EXPECT_FALSE(read->result);
  EXPECT_TRUE(is_silent());
  say(guest_protocol::OutputGrew{{Kind::output_grew, kFirst}, Stream::out});
  ASSERT_GT(hear(request), 0U);
  say(answer_to(request, 1), "x");
  ASSERT_TRUE(read->result && read->result->ok());
  EXPECT_EQ((**read->result).data, "x");
}

TEST_F(KeptProcessTest, DoesNotMissNewsThatComesRightBehindAnEmptyAnswer) {
  const auto read = begin(process_->read(Stream::out, 0, io::Deadline::never()));
  guest_protocol::ReadOutput request{};
  ASSERT_GT(hear(request), 0U);
  const auto empty = answer_to(request, 0);
  const iovec part{const_cast<guest_protocol::OutputPiece*>(&empty), sizeof empty};
  ASSERT_TRUE(send_message(guest_.get(), &part, 1));
  say(guest_protocol::OutputGrew{{Kind::output_grew, kFirst}, Stream::out});  // both are heard in one turn
  ASSERT_GT(hear(request), 0U) << "it asks again";
}

TEST_F(KeptProcessTest, AnswersEmptyWhenTheTimeToWaitIsUp) {
  const auto read = begin(process_->read(Stream::out, 0, io::Deadline::in(std::chrono::milliseconds(0))));
  guest_protocol::ReadOutput request{};
  ASSERT_GT(hear(request), 0U);
  say(answer_to(request, 0));
  ASSERT_TRUE(read->result && read->result->ok());
  EXPECT_TRUE((**read->result).data.empty());
}

TEST_F(KeptProcessTest, WritesLongInputPieceByPiece) {
  const std::string input(16 * 1024 + 10, 'i');
  const auto written = begin(process_->write_stdin(input, true, io::Deadline::never()));
  guest_protocol::WriteStdin request{};
  std::string data;
  ASSERT_GT(hear(request, &data), 0U);
  EXPECT_EQ(data.size(), 16U * 1024U);
  EXPECT_EQ(request.close, 0U);
  EXPECT_TRUE(is_silent()) << "the second piece waits for the first";
  say(guest_protocol::StdinDone{{Kind::stdin_done, kFirst}, 0});
  ASSERT_GT(hear(request, &data), 0U);
  EXPECT_EQ(data.size(), 10U);
  EXPECT_EQ(request.close, 1U);
  say(guest_protocol::StdinDone{{Kind::stdin_done, kFirst}, 0});
  EXPECT_TRUE(written->result && written->result->ok());
}

TEST_F(KeptProcessTest, SaysThatNobodyReadsTheInput) {
  const auto written = begin(process_->write_stdin("x", false, io::Deadline::never()));
  say(guest_protocol::StdinDone{{Kind::stdin_done, kFirst}, EPIPE});
  ASSERT_TRUE(written->result);
  EXPECT_EQ(written->result->error().slug(), "input_closed");
}

TEST_F(KeptProcessTest, CanStillBeReadWhenItHasEnded) {
  guest_protocol::Exited exited{};
  exited.header = {Kind::exited, kFirst};
  say(exited);
  EXPECT_TRUE(process_->has_ended());
  const auto read = begin(process_->read(Stream::out, 0, io::Deadline::never()));
  guest_protocol::ReadOutput request{};
  ASSERT_GT(hear(request), 0U);
  auto piece = answer_to(request, 2);
  piece.ended = 1;
  say(piece, "ok");
  ASSERT_TRUE(read->result && read->result->ok());
  EXPECT_TRUE((**read->result).ended);
}

TEST_F(KeptProcessTest, IsForgottenOnlyWhenAskedTo) {
  { const KeptProcess copy(*process_); }
  EXPECT_TRUE(is_silent());
  process_->forget();
  Header header{};
  ASSERT_GT(hear(header), 0U);
  EXPECT_EQ(header.kind, Kind::forget);
}

TEST_F(KeptProcessTest, TellsEveryReaderThatTheGuestIsGone) {
  const auto read = begin(process_->read(Stream::out, 0, io::Deadline::never()));
  const auto written = begin(process_->write_stdin("x", false, io::Deadline::never()));
  guest_.reset();
  run();
  ASSERT_TRUE(read->result && written->result);
  EXPECT_EQ(read->result->error().slug(), "sandbox_lost");
  EXPECT_EQ(written->result->error().slug(), "sandbox_lost");
}

TEST_F(KeptProcessTest, AnswersNothingToAReadBeyondTheEnd) {
  const auto read = begin(process_->read(Stream::out, 100, io::Deadline::in(std::chrono::milliseconds(0))));
  guest_protocol::ReadOutput request{};
  ASSERT_GT(hear(request), 0U);
  auto nothing = answer_to(request, 0);
  nothing.end = 5;
  say(nothing);
  EXPECT_FALSE(channel_->is_closed());
  ASSERT_TRUE(read->result && read->result->ok());
  EXPECT_TRUE((**read->result).data.empty());
  EXPECT_EQ((**read->result).end, 5U);
}

TEST_F(KeptProcessTest, HearsThatTheGuestKnowsOfNoSuchProcess) {
  const auto read = begin(process_->read(Stream::out, 10, io::Deadline::never()));
  guest_protocol::ReadOutput request{};
  ASSERT_GT(hear(request), 0U);
  guest_protocol::OutputPiece refusal{};
  refusal.header = {Kind::output, kFirst};
  refusal.ticket = request.ticket;
  refusal.error = ESRCH;
  say(refusal);
  EXPECT_FALSE(channel_->is_closed());
  ASSERT_TRUE(read->result);
  EXPECT_EQ(read->result->error().slug(), "process_not_found");
}

TEST_F(KeptProcessTest, TellsWhoeverWaitsForNewsThatTheGuestIsGone) {
  guest_protocol::Exited exited{};
  exited.header = {Kind::exited, kFirst};
  say(exited);
  const auto read = begin(process_->read(Stream::out, 0, io::Deadline::never()));
  guest_protocol::ReadOutput request{};
  ASSERT_GT(hear(request), 0U);
  say(answer_to(request, 0));
  const auto news = begin(process_->wait_news(process_->news(), io::Deadline::never()));
  channel_->close();
  run();
  ASSERT_TRUE(read->result && news->result);
  EXPECT_EQ(read->result->error().slug(), "sandbox_lost");
}

TEST_F(KeptProcessTest, TellsWhoeverWaitsThatItIsForgotten) {
  const auto ended = begin(process_->wait_ended(io::Deadline::never()));
  const auto asked = begin(process_->read(Stream::err, 0, io::Deadline::never()));
  const auto written = begin(process_->write_stdin("x", false, io::Deadline::never()));
  process_->forget();
  run();
  ASSERT_TRUE(ended->result && asked->result && written->result);
  EXPECT_TRUE(ended->result->ok());
  EXPECT_EQ(asked->result->error().slug(), "process_not_found");
  EXPECT_EQ(written->result->error().slug(), "process_not_found");
}

TEST_F(KeptProcessTest, AWriteThatWasCutShortIsWaitedForByTheNextOne) {
  const auto cut = begin(process_->write_stdin("a", false, io::Deadline::in(std::chrono::milliseconds(0))));
  run();
  ASSERT_TRUE(cut->result);
  EXPECT_EQ(cut->result->error().code(), ErrorCode::deadline_exceeded);
  guest_protocol::WriteStdin request{};
  ASSERT_GT(hear(request), 0U);
  const auto next = begin(process_->write_stdin("b", false, io::Deadline::never()));
  EXPECT_TRUE(is_silent()) << "the first is still on its way";
  say(guest_protocol::StdinDone{{Kind::stdin_done, kFirst}, 0});
  std::string data;
  ASSERT_GT(hear(request, &data), 0U);
  EXPECT_EQ(data, "b");
  say(guest_protocol::StdinDone{{Kind::stdin_done, kFirst}, 0});
  EXPECT_TRUE(next->result && next->result->ok());
}

TEST_F(KeptProcessTest, IsForgottenAlsoWhenTheSocketIsFull) {
  while (process_->signal(10, false).ok()) {
  }
  EXPECT_EQ(process_->signal(10, false).error().slug(), "sandbox_busy");
  process_->kill();
  process_->forget();
  guest_protocol::KillRequest request{};
  while (hear(request) > 0 && request.signal == 10) run();
  EXPECT_EQ(request.signal, 9);
  run();
  Header header{};
  ASSERT_GT(hear(header), 0U);
  EXPECT_EQ(header.kind, Kind::forget);
}

class ImpatientTest : public KeptProcessTest {
 protected:
  ImpatientTest() : KeptProcessTest(std::chrono::milliseconds(0)) {}
};

TEST_F(ImpatientTest, DoesNotWaitForeverForASilentGuest) {
  const auto read = begin(process_->read(Stream::out, 0, io::Deadline::never()));
  while (!read->result) run();
  EXPECT_EQ(read->result->error().slug(), "sandbox_silent");
  EXPECT_FALSE(channel_->is_closed());
}

TEST_F(ImpatientTest, LeavesTheSandboxAloneWhenTheSocketStaysFull) {
  while (process_->signal(10, false).ok()) {
  }
  const auto read = begin(process_->read(Stream::out, 0, io::Deadline::never()));
  while (!read->result) run();
  EXPECT_EQ(read->result->error().slug(), "sandbox_silent");
  run();
  EXPECT_FALSE(channel_->is_closed());
}

io::Always<void> take_cpu_time(const KeptProcess* process, std::shared_ptr<const AskedCpuTime> asked,
                               std::optional<std::optional<CpuTime>>* told) {
  *told = co_await process->wait_cpu_time(std::move(asked));
}

TEST_F(KeptProcessTest, TellsWhatItHasUsedByTheOrderOfTheQuestions) {
  const auto first = process_->ask_cpu_time();
  const auto second = process_->ask_cpu_time();
  std::optional<std::optional<CpuTime>> told;
  io::spawn(loop_, take_cpu_time(process_.get(), second, &told));
  for (int i = 0; i < 2; ++i) {
    Header request{};
    ASSERT_GT(hear(request), 0U);
    EXPECT_EQ(request.kind, Kind::read_usage);
    EXPECT_EQ(request.sequence, kFirst);
  }
  say(guest_protocol::Usage{{Kind::usage, kFirst}, 0, 0, 10, 20});
  EXPECT_EQ(first->time->user_us, 10U);
  EXPECT_FALSE(told);
  say(guest_protocol::Usage{{Kind::usage, kFirst}, 0, 0, 30, 40});
  ASSERT_TRUE(told && *told);
  EXPECT_EQ((*told)->user_us, 30U);
  EXPECT_EQ((*told)->system_us, 40U);
}

TEST_F(KeptProcessTest, DoesNotKnowWhatItHasUsedOnceItHasEnded) {
  const auto asked = process_->ask_cpu_time();
  say(guest_protocol::Usage{{Kind::usage, kFirst}, ESRCH, 0, 10, 20});
  EXPECT_TRUE(asked->is_answered);
  EXPECT_FALSE(asked->time);
  channel_->close();
  EXPECT_TRUE(process_->ask_cpu_time()->is_answered) << "nobody can be asked";
}

TEST_F(KeptProcessTest, ClosesTheChannelOfAGuestThatAnswersWhatNobodyHasAsked) {
  say(guest_protocol::Usage{{Kind::usage, kFirst}, 0, 0, 10, 20});
  EXPECT_TRUE(channel_->is_closed());
}

TEST_F(ImpatientTest, DoesNotWaitForeverForWhatItHasUsed) {
  std::optional<std::optional<CpuTime>> told;
  io::spawn(loop_, take_cpu_time(process_.get(), process_->ask_cpu_time(), &told));
  while (!told) run();
  EXPECT_FALSE(*told);
}

TEST_F(KeptProcessTest, ClosesTheChannelOfAGuestWhosePiecesDoNotAddUp) {
  const auto read = begin(process_->read(Stream::out, 10, io::Deadline::never()));
  guest_protocol::ReadOutput request{};
  ASSERT_GT(hear(request), 0U);
  auto piece = answer_to(request, 3);
  piece.offset = 4;  // before what was asked for
  say(piece, "abc");
  EXPECT_TRUE(channel_->is_closed());
}

TEST_F(KeptProcessTest, SaysWhenAPieceCameWhereThatIsWanted) {
  const auto plain = begin(process_->read(Stream::out, 0, io::Deadline::never()));
  guest_protocol::ReadOutput request{};
  ASSERT_GT(hear(request), 0U);
  EXPECT_EQ(request.by_time, 0U);
  const auto timed = begin(process_->read(Stream::out, 0, io::Deadline::never(), Before::kept, Times::wanted));
  ASSERT_GT(hear(request), 0U);
  EXPECT_EQ(request.by_time, 1U);
  auto piece = answer_to(request, 1);
  piece.came_ms = 7;
  say(piece, "x");
  ASSERT_TRUE(timed->result && timed->result->ok());
  EXPECT_EQ((**timed->result).came_ms, 7U);
}

TEST_F(KeptProcessTest, BelievesNoGuestThatAPieceIsStillToCome) {
  const auto read = begin(process_->read(Stream::out, 0, io::Deadline::never(), Before::kept, Times::wanted));
  guest_protocol::ReadOutput request{};
  ASSERT_GT(hear(request), 0U);
  auto piece = answer_to(request, 1);
  piece.came_ms = UINT64_MAX;
  say(piece, "x");
  ASSERT_TRUE(read->result && read->result->ok());
  EXPECT_LE((**read->result).came_ms, boottime_ms());
}

TEST_F(KeptProcessTest, FindsWhatCameInATime) {
  const Period period{10, 20};
  const auto found = begin(process_->find(Stream::err, period));
  guest_protocol::FindOutput request{};
  ASSERT_GT(hear(request), 0U);
  EXPECT_EQ(request.stream, Stream::err);
  EXPECT_EQ(request.since_ms, 10U);
  EXPECT_EQ(request.until_ms, 20U);
  say(guest_protocol::OutputSpan{{Kind::output_span, kFirst}, request.ticket, Stream::err, 3, 9, 0, 0});
  ASSERT_TRUE(found->result && found->result->ok());
  EXPECT_EQ((**found->result).begin, 3U);
  EXPECT_EQ((**found->result).end, 9U);
  say(guest_protocol::OutputSpan{{Kind::output_span, kFirst}, request.ticket, Stream::err, 3, 9, 0, 0});
  EXPECT_FALSE(channel_->is_closed()) << "nobody waits for it any more";
}

TEST_F(KeptProcessTest, FindsNothingOfWhatIsForgottenOrGone) {
  const auto found = begin(process_->find(Stream::out, Period()));
  guest_protocol::FindOutput request{};
  ASSERT_GT(hear(request), 0U);
  say(guest_protocol::OutputSpan{{Kind::output_span, kFirst}, request.ticket, Stream::out, 0, 0, ESRCH, 0});
  ASSERT_TRUE(found->result);
  EXPECT_EQ(found->result->error().slug(), "process_not_found");
  const auto cut = begin(process_->find(Stream::out, Period()));
  guest_.reset();
  run();
  ASSERT_TRUE(cut->result);
  EXPECT_EQ(cut->result->error().slug(), "sandbox_lost");
}

TEST_F(KeptProcessTest, ClosesTheChannelOfAGuestThatFindsWhatEndsBeforeItBegins) {
  const auto found = begin(process_->find(Stream::out, Period()));
  guest_protocol::FindOutput request{};
  ASSERT_GT(hear(request), 0U);
  say(guest_protocol::OutputSpan{{Kind::output_span, kFirst}, request.ticket, Stream::out, 9, 3, 0, 0});
  EXPECT_TRUE(channel_->is_closed());
  ASSERT_TRUE(found->result);
  EXPECT_EQ(found->result->error().slug(), "sandbox_lost");
}

TEST_F(KeptProcessTest, ClosesTheChannelOfAGuestThatFindsInAnotherStream) {
  const auto found = begin(process_->find(Stream::out, Period()));
  guest_protocol::FindOutput request{};
  ASSERT_GT(hear(request), 0U);
  say(guest_protocol::OutputSpan{{Kind::output_span, kFirst}, request.ticket, Stream::err, 0, 0, 0, 0});
  EXPECT_TRUE(channel_->is_closed());
}

TEST_F(KeptProcessTest, ClosesTheChannelOfAGuestThatHandsOutDescriptorsOfAKeptProcess) {
  const guest_protocol::Started started{{Kind::started, kFirst}, 7};
  const iovec part{const_cast<guest_protocol::Started*>(&started), sizeof started};
  const int fd = guest_.get();
  ASSERT_TRUE(send_message(guest_.get(), &part, 1, &fd, 1));
  run();
  EXPECT_TRUE(channel_->is_closed());
}

}  // namespace
}  // namespace lmsb::guest_client
