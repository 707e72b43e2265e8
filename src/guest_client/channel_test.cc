#include "guest_client/channel.h"

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fcntl.h>
#include <functional>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest_client/kept_process.h"
#include "io/run_blocking.h"
#include "os/message_socket.h"

namespace lmsb::guest_client {
namespace {

using guest_protocol::Header;
using guest_protocol::Kind;
using guest_protocol::Step;
using testing::HasSubstr;

struct Ends {
  UniqueFd read;
  UniqueFd write;
};

Ends make_pipe() {
  std::array<int, 2> ends{};
  EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

// A channel whose other end, the guest's, is the test.
class GuestChannel : public testing::Test {
 protected:
  GuestChannel() {
    UniqueFd ours;
    EXPECT_TRUE(message_socket_pair(ours, guest_));
    channel_ = std::make_unique<Channel>(loop_, std::move(ours));
  }

  template <class Message>
  void say(const Message& message, std::vector<int> fds = {}) {
    say_octets({reinterpret_cast<const char*>(&message), sizeof message}, std::move(fds));
  }
  void say_octets(std::string octets, std::vector<int> fds = {}) {
    const iovec part{octets.data(), octets.size()};
    ASSERT_TRUE(send_message(guest_.get(), &part, 1, fds.data(), fds.size()));
    run();
  }
  // Lets the channel hear what has been said.
  void run() {
    loop_.restart();
    while (loop_.poll() > 0) {
    }
  }
  Process start() {
    StartSpec spec;
    spec.argv = {"true"};
    auto process = channel_->start(spec, -1);
    EXPECT_TRUE(process.ok());
    return *std::move(process);
  }
  // What waiting ends with; the guest has said all before. Pipes are read by threads.
  template <class T>
  Result<T> result_of(io::Task<T> task) {
    std::optional<Result<T>> result;
    io::spawn(loop_, io::detail::keep(std::move(task), &result));
    loop_.restart();
    while (!result && loop_.run_one_for(std::chrono::seconds(20)) > 0) {
    }
    LMSB_ASSERT(result.has_value());
    return *std::move(result);
  }
  // The first request has this number.
  static Header about_first(Kind kind) { return {kind, 1}; }

  boost::asio::io_context loop_{1};
  UniqueFd guest_;
  std::unique_ptr<Channel> channel_;
};

TEST_F(GuestChannel, TellsThatTheSandboxStands) {
  guest_protocol::Ready ready{};
  ready.header = {Kind::ready, 0};
  ready.landlock_abi = 5;
  say(ready);
  EXPECT_EQ(result_of(channel_->wait_ready(io::Deadline::never()))->landlock_abi, 5);
  EXPECT_FALSE(channel_->is_closed());
}

TEST_F(GuestChannel, TellsWhichStepOfTheLaunchFailed) {
  say(guest_protocol::Failed{{Kind::failed, 0}, Step::mounts, EPERM});
  const auto ready = result_of(channel_->wait_ready(io::Deadline::never()));
  ASSERT_FALSE(ready.ok());
  EXPECT_THAT(ready.error().message(), HasSubstr(guest_protocol::to_string(Step::mounts)));
  EXPECT_TRUE(channel_->is_closed());
}

TEST_F(GuestChannel, HandsOutTheOutputAndTheEndOfACommand) {
  Process process = start();
  const Ends out = make_pipe();
  Ends err = make_pipe();
  say(guest_protocol::Started{about_first(Kind::started), 7}, {out.read.get(), err.read.get()});
  ASSERT_TRUE(result_of(process.wait_started(io::Deadline::never())).ok());
  ASSERT_EQ(::write(err.write.get(), "e", 1), 1);
  err.write.reset();
  io::ForeignPipe output = process.take_stderr();
  EXPECT_EQ(*result_of(output.read()), "e");
  guest_protocol::Exited exited{};
  exited.header = about_first(Kind::exited);
  exited.status = 3 << 8;
  say(exited);
  const auto ending = result_of(process.wait_ended(io::Deadline::never()));
  ASSERT_TRUE(ending.ok());
  EXPECT_EQ(ending->kind, Ending::Kind::exited);
  EXPECT_EQ(ending->exited.status, 3 << 8);
}

TEST_F(GuestChannel, TellsWhyACommandCouldNotStart) {
  Process process = start();
  say(guest_protocol::StartFailed{about_first(Kind::start_failed), Step::command_exec, ENOENT});
  const auto ending = result_of(process.wait_ended(io::Deadline::never()));
  ASSERT_TRUE(ending.ok());
  EXPECT_EQ(ending->kind, Ending::Kind::start_failed);
  EXPECT_EQ(ending->error, ENOENT);
}

TEST_F(GuestChannel, EndsEveryCommandAsLostWhenTheGuestGoes) {
  Process process = start();
  guest_.reset();
  run();
  EXPECT_EQ(result_of(process.wait_ended(io::Deadline::never()))->kind, Ending::Kind::lost);
  EXPECT_EQ(result_of(process.wait_started(io::Deadline::never())).error().slug(), "sandbox_lost");
  EXPECT_FALSE(channel_->start(StartSpec(), -1).ok());
}

// What a guest is told: sequence and signal, in their order.
using Signals = std::vector<std::pair<std::uint32_t, std::int32_t>>;

TEST_F(GuestChannel, AsksAllThatRunsToEndButWhatEndsWithItsInput) {
  const Process ended = start();
  const Process runs = start();
  StartSpec save;
  save.program = guest_protocol::Program::save;
  save.argv = {"/tmp/file", "10"};
  const auto saves = channel_->start(save, -1);
  ASSERT_TRUE(saves.ok());
  say(guest_protocol::StartFailed{about_first(Kind::start_failed), Step::command_exec, ENOENT});
  std::array<char, 4096> buffer{};
  ReceivedFds fds;
  for (int starts = 0; starts < 3; ++starts) receive_message(guest_.get(), buffer.data(), buffer.size(), fds);
  channel_->ask_to_end();
  Signals told;
  for (int i = 0; i < 4; ++i) {
    guest_protocol::KillRequest kill{};
    ASSERT_EQ(receive_message(guest_.get(), &kill, sizeof kill, fds), static_cast<ssize_t>(sizeof kill));
    EXPECT_EQ(kill.whole_tree, 1U);
    told.emplace_back(kill.header.sequence, kill.signal);
  }
  EXPECT_EQ(told, (Signals{{2, SIGTERM}, {0, SIGTERM}, {2, SIGCONT}, {0, SIGCONT}}));
}

TEST_F(GuestChannel, WaitsForTheEndOfAll) {
  const Process first = start();
  EXPECT_TRUE(channel_->has_running());
  const io::Deadline now = io::Deadline::in(std::chrono::milliseconds(0));
  EXPECT_EQ(result_of(channel_->wait_all_ended(now)).error().code(), ErrorCode::deadline_exceeded);
  std::optional<Status> waited;
  io::spawn(loop_, io::detail::keep(channel_->wait_all_ended(io::Deadline::never()), &waited));
  run();
  EXPECT_FALSE(waited.has_value());
  guest_protocol::Exited exited{};
  exited.header = about_first(Kind::exited);
  say(exited);
  ASSERT_TRUE(waited.has_value());
  EXPECT_TRUE(waited->ok());
  EXPECT_FALSE(channel_->has_running());
}

TEST_F(GuestChannel, SendsACommandWithItsWordsAndAKillOfItsTree) {
  {
    StartSpec spec;
    spec.argv = {"a", "b"};
    spec.env = {"X=1"};
    spec.cwd = "/tmp";
    const auto process = channel_->start(spec, -1);
    ASSERT_TRUE(process.ok());
  }  // dropped before it ended
  std::array<char, 512> buffer{};
  ReceivedFds fds;
  ssize_t size = receive_message(guest_.get(), buffer.data(), buffer.size(), fds);
  guest_protocol::StartRequest request{};
  ASSERT_GT(size, static_cast<ssize_t>(sizeof request));
  std::memcpy(&request, buffer.data(), sizeof request);
  EXPECT_EQ(request.argc, 2U);
  EXPECT_EQ(request.envc, 1U);
  const std::string words(buffer.data() + sizeof request, static_cast<std::size_t>(size) - sizeof request);
  EXPECT_EQ(words, std::string("a\0b\0X=1\0/tmp\0", 13));
  size = receive_message(guest_.get(), buffer.data(), buffer.size(), fds);
  guest_protocol::KillRequest kill{};
  ASSERT_EQ(size, static_cast<ssize_t>(sizeof kill));
  std::memcpy(&kill, buffer.data(), sizeof kill);
  EXPECT_EQ(kill.header.kind, Kind::kill);
  EXPECT_EQ(kill.whole_tree, 1U);
}

TEST_F(GuestChannel, RefusesACommandOfMoreWordsThanAMessageHolds) {
  StartSpec spec;
  spec.argv = {std::string(guest_protocol::kMaxBody, 'x')};
  EXPECT_EQ(channel_->start(spec, -1).error().slug(), "command_too_large");
  spec.argv.assign(3000, "x");
  EXPECT_EQ(channel_->start(spec, -1).error().slug(), "command_too_large");
}

TEST_F(GuestChannel, SaysThatAGuestDoesNotKeepUpInsteadOfWaiting) {
  StartSpec spec;
  spec.argv = {std::string(100'000, 'x')};
  std::vector<Process> started;
  for (int i = 0; i < 1000; ++i) {
    auto process = channel_->start(spec, -1);
    if (process.ok()) {
      started.push_back(*std::move(process));
      continue;
    }
    EXPECT_EQ(process.error().slug(), "sandbox_busy");
    return;
  }
  FAIL() << "a thousand large requests fitted into the socket";
}

// A channel to a guest that an earlier daemon has had.
class HeldGuest : public GuestChannel {
 protected:
  HeldGuest() {
    UniqueFd ours;
    EXPECT_TRUE(message_socket_pair(ours, guest_));
    channel_ = std::make_unique<Channel>(loop_, std::move(ours), Channel::kAnswerLimit, Channel::Guest::held);
  }
  static guest_protocol::Held held(std::uint32_t sequence, guest_protocol::Held::State state) {
    guest_protocol::Held value{};
    value.header = {Kind::held, sequence};
    value.state = state;
    value.pid = 17;
    return value;
  }
  void say_held(guest_protocol::Held value, const std::string& note) {
    value.note_size = static_cast<std::uint32_t>(note.size());
    say_octets(std::string(reinterpret_cast<const char*>(&value), sizeof value) + note);
  }
  void say_last(std::uint32_t sequence) {
    guest_protocol::Held value{};
    value.header = {Kind::held, 0};
    value.last_sequence = sequence;
    say(value);
  }
};

TEST_F(HeldGuest, TellsWhatItKeepsAndHowThatStands) {
  using State = guest_protocol::Held::State;
  say_held(held(3, State::runs), "one");
  auto ended = held(5, State::exited);
  ended.exited.status = 7 << 8U;
  ended.ended_ms = 1234;
  say_held(ended, "");
  auto failed = held(6, State::start_failed);
  failed.failure = {{Kind::start_failed, 6}, Step::command_exec, ENOENT};
  say_held(failed, "three");
  say_last(9);
  auto all = result_of(channel_->take_held(io::Deadline::in(std::chrono::seconds(1))));
  ASSERT_TRUE(all.ok());
  ASSERT_EQ(all->size(), 3U);
  EXPECT_EQ((*all)[0].note, "one");
  EXPECT_TRUE((*all)[0].process.has_begun() && !(*all)[0].process.has_ended());
  EXPECT_EQ((*all)[0].process.pid(), 17);
  EXPECT_EQ((*all)[1].ended_ms, 1234U);
  EXPECT_EQ(result_of((*all)[1].process.wait_ended(io::Deadline::never()))->exited.status, 7 << 8U);
  EXPECT_EQ(result_of((*all)[2].process.wait_ended(io::Deadline::never()))->error, ENOENT);
  // What ends later is heard, and what is started has a number of its own.
  say(guest_protocol::Exited{{Kind::exited, 3}, 0, 0, 0, 0, 0, 0, 0, 0, 0});
  EXPECT_TRUE((*all)[0].process.has_ended());
  const Process next = start();
  guest_protocol::StartRequest request{};
  EXPECT_GT(::recv(guest_.get(), &request, sizeof request, MSG_DONTWAIT), 0);
  EXPECT_EQ(request.header.sequence, 10U);
}

TEST_F(HeldGuest, IsWaitedForUntilItHasToldAll) {
  say_held(held(3, guest_protocol::Held::State::runs), "");
  const auto all = result_of(channel_->take_held(io::Deadline::in(std::chrono::milliseconds(0))));
  EXPECT_EQ(all.error().code(), ErrorCode::deadline_exceeded);
}

TEST_F(HeldGuest, LosesItsChannelForWhatNoGuestTells) {
  const auto closes = [this](const std::function<void()>& speak) {
    UniqueFd ours;
    EXPECT_TRUE(message_socket_pair(ours, guest_));
    channel_ = std::make_unique<Channel>(loop_, std::move(ours), Channel::kAnswerLimit, Channel::Guest::held);
    speak();
    return channel_->is_closed();
  };
  const auto one = held(3, guest_protocol::Held::State::runs);
  EXPECT_FALSE(closes([&] { say_held(one, std::string(guest_protocol::kMaxNote, 'x')); }));
  EXPECT_TRUE(closes([&] { say_held(one, std::string(guest_protocol::kMaxNote + 1, 'x')); }));
  EXPECT_TRUE(closes([&] {
    auto longer = one;
    longer.note_size = 1;
    say(longer);
  }));
  EXPECT_TRUE(closes([&] {
    say_held(one, "");
    say_held(one, "");
  })) << "twice the same";
  EXPECT_TRUE(closes([&] {
    say_last(1);
    say_held(one, "");
  })) << "after the last";
  EXPECT_TRUE(closes([&] {
    for (std::uint32_t i = 1; i <= guest_protocol::kMaxKept + 1; ++i) say_held(held(i, one.state), "");
  }));
}

TEST_F(GuestChannel, IsNotToldOfWhatAFreshGuestCannotKeep) {
  say(guest_protocol::Held{});
  EXPECT_TRUE(channel_->is_closed());
}

TEST_F(GuestChannel, IgnoresWhatIsSaidOfCommandsThatAreNotThere) {
  const Ends pipe = make_pipe();
  say(guest_protocol::Started{{Kind::started, 99}, 7}, {pipe.read.get(), pipe.read.get()});
  guest_protocol::Exited exited{};
  exited.header = {Kind::exited, 99};
  say(exited);
  EXPECT_FALSE(channel_->is_closed());
}

TEST_F(GuestChannel, TakesForANetworkWhatAGateCanServe) {
  const auto make = [](int type, int protocol) { return UniqueFd(::socket(AF_INET, type | SOCK_CLOEXEC, protocol)); };
  const UniqueFd listener = make(SOCK_STREAM, 0);
  const UniqueFd names = make(SOCK_DGRAM, 0);
  const Header network{Kind::network, 1};
  say(network, {listener.get(), names.get()});
  EXPECT_FALSE(channel_->is_closed());
  const UniqueFd other = make(SOCK_DGRAM, IPPROTO_UDPLITE);
  if (!other) GTEST_SKIP() << "the kernel has no UDP-Lite";
  say(network, {listener.get(), other.get()});
  EXPECT_TRUE(channel_->is_closed());
}

// What no guest of ours sends: each closes the channel, and the command is lost.
struct Hostile {
  const char* name;
  std::string octets;
  std::vector<int> (*fds)();  // borrowed from statics
};

template <class Message>
std::string octets_of(Message message, Kind kind) {
  message.header = {kind, 1};
  return {reinterpret_cast<const char*>(&message), sizeof message};
}

int static_pipe() {
  static const Ends pipe = make_pipe();
  return pipe.read.get();
}
int static_pipe_for_writing() {
  static const Ends pipe = make_pipe();
  return pipe.write.get();
}
int static_socket(int type) {
  static std::array<UniqueFd, 8> sockets;
  UniqueFd& socket = sockets[static_cast<std::size_t>(type) % sockets.size()];
  if (!socket) socket.reset(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
  return socket.get();
}
int static_file(const char* path) { return ::open(path, O_RDONLY | O_CLOEXEC); }  // ends with the test program

std::vector<int> none() { return {}; }
std::vector<int> one_pipe() { return {static_pipe()}; }
std::vector<int> three_pipes() { return {static_pipe(), static_pipe(), static_pipe()}; }
std::vector<int> stream_sockets() { return {static_socket(SOCK_STREAM), static_socket(SOCK_STREAM)}; }
std::vector<int> datagram_socket() { return {static_pipe(), static_socket(SOCK_DGRAM)}; }
std::vector<int> writing_end() { return {static_pipe(), static_pipe_for_writing()}; }
std::vector<int> device() { return {static_file("/dev/null"), static_pipe()}; }
std::vector<int> directory() { return {static_pipe(), static_file("/")}; }
std::vector<int> regular_file() { return {static_pipe(), static_file("/proc/self/exe")}; }

class HostileGuest : public GuestChannel, public testing::WithParamInterface<Hostile> {};

TEST_P(HostileGuest, LosesItsChannelAndNothingElse) {
  Process process = start();
  say_octets(GetParam().octets, GetParam().fds());
  EXPECT_TRUE(channel_->is_closed());
  EXPECT_EQ(result_of(process.wait_ended(io::Deadline::never()))->kind, Ending::Kind::lost);
  EXPECT_FALSE(process.take_stdout());
}

const guest_protocol::Started kStarted{{}, 7};

INSTANTIATE_TEST_SUITE_P(
    Messages, HostileGuest,
    testing::Values(Hostile{"Short", "abc", none}, Hostile{"Large", std::string(900, 'x'), none},
                    Hostile{"TooLargeForAnyKind", std::string(5000, '\0'), none},
                    Hostile{"UnknownKind", octets_of(kStarted, Kind{200}), none},
                    Hostile{"OursToSay", octets_of(guest_protocol::KillRequest{}, Kind::kill), none},
                    Hostile{"ReadyOfWrongSize", octets_of(guest_protocol::Exited{}, Kind::ready), none},
                    Hostile{"ExitedOfWrongSize", octets_of(kStarted, Kind::exited), none},
                    Hostile{"StartedOfWrongSize", octets_of(guest_protocol::Exited{}, Kind::started), none}),
    [](const auto& parameter) { return parameter.param.name; });

INSTANTIATE_TEST_SUITE_P(Output, HostileGuest,
                         testing::Values(Hostile{"None", octets_of(kStarted, Kind::started), none},
                                         Hostile{"OnePipe", octets_of(kStarted, Kind::started), one_pipe},
                                         Hostile{"ThreePipes", octets_of(kStarted, Kind::started), three_pipes},
                                         Hostile{"StreamSockets", octets_of(kStarted, Kind::started), stream_sockets},
                                         Hostile{"DatagramSocket", octets_of(kStarted, Kind::started), datagram_socket},
                                         Hostile{"WritingEnd", octets_of(kStarted, Kind::started), writing_end},
                                         Hostile{"Device", octets_of(kStarted, Kind::started), device},
                                         Hostile{"Directory", octets_of(kStarted, Kind::started), directory},
                                         Hostile{"File", octets_of(kStarted, Kind::started), regular_file}),
                         [](const auto& parameter) { return parameter.param.name; });

}  // namespace
}  // namespace lmsb::guest_client
