// What a guest says on its channel: messages of any content, with descriptors of any kind. The daemon may close the
// channel, nothing else.
#include <array>
#include <fcntl.h>
#include <memory>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>

#include "base/unique_fd.h"
#include "fuzz.h"
#include "guest_client/channel.h"
#include "guest_client/kept_process.h"
#include "io/spawn.h"
#include "os/message_socket.h"

namespace {

using lmsb::UniqueFd;
using lmsb::guest_client::Channel;
using lmsb::guest_client::KeptProcess;
using lmsb::guest_client::Process;

// One kind of each: a pipe, a socket, a file, a directory, a TCP socket.
const std::array<UniqueFd, 5>& descriptors() {
  static const std::array<UniqueFd, 5> all = [] {
    std::array<int, 2> pipe{};
    std::array<int, 2> pair{};
    LMSB_ASSERT(::pipe(pipe.data()) == 0 && ::socketpair(AF_UNIX, SOCK_STREAM, 0, pair.data()) == 0);
    return std::array<UniqueFd, 5>{UniqueFd(pipe[0]), UniqueFd(pair[0]), UniqueFd(::open("/dev/null", O_RDONLY)),
                                   UniqueFd(::open("/", O_RDONLY | O_DIRECTORY)),
                                   UniqueFd(::socket(AF_INET, SOCK_STREAM, 0))};
  }();
  return all;
}

// An octet says how many descriptors of which kind, two say the size; the content follows.
bool say(int guest, lmsb::fuzz::Input& input) {
  const std::uint8_t flags = input.octet();
  std::size_t size = input.octet();
  size += 256U * (input.octet() % 8U);
  const std::string_view content = input.take(size);
  std::array<int, 3> fds{};
  fds.fill(descriptors()[(flags >> 2U) % 4U].get());
  if ((flags & 16U) != 0) fds[1] = descriptors()[0].get();
  if ((flags & 32U) != 0) fds[0] = descriptors()[4].get();
  const iovec part{const_cast<char*>(content.data()), content.size()};  // NOLINT: C interface
  return lmsb::send_message(guest, &part, 1, fds.data(), flags % 4U);
}

lmsb::io::Always<void> wait_ready(std::shared_ptr<Channel> channel) {
  (void)co_await channel->wait_ready(lmsb::io::Deadline::never());
}

// Uses what an earlier channel's guest says that it keeps.
lmsb::io::Always<void> take_held(std::shared_ptr<Channel> channel) {
  auto held = co_await channel->take_held(lmsb::io::Deadline::never());
  if (!held.ok()) co_return;
  std::uint32_t last = 0;
  for (const lmsb::guest_client::HeldProcess& one : *held) {
    LMSB_ASSERT(one.number > last && one.note.size() <= lmsb::guest_protocol::kMaxNote);
    last = one.number;
    one.process.keep_note(one.note);
    (void)one.process.news();
  }
}

lmsb::io::Always<void> wait_ended(std::shared_ptr<Process> process) {
  (void)co_await process->wait_started(lmsb::io::Deadline::never());
  const auto out = process->take_stdout();
  (void)co_await process->wait_ended(lmsb::io::Deadline::never());
}

// Reads both streams of a kept process and writes to it, for as long as its guest says anything of use.
lmsb::io::Always<void> use_kept(std::shared_ptr<KeptProcess> process) {
  using lmsb::guest_protocol::Stream;
  (void)co_await process->wait_started(lmsb::io::Deadline::never());
  std::uint64_t offset = 0;
  for (int i = 0; i < 64; ++i) {
    const auto stream = static_cast<Stream>(i % 2);
    const auto times = i % 4 < 2 ? lmsb::guest_client::Times::unwanted : lmsb::guest_client::Times::wanted;
    const auto piece =
        co_await process->read(stream, offset, lmsb::io::Deadline::never(), lmsb::guest_client::Before::kept, times);
    if (!piece.ok()) break;
    LMSB_ASSERT(piece->offset >= offset && piece->end >= piece->offset + piece->data.size());
    if (i % 2 == 0) offset = piece->offset + piece->data.size();
    if (offset > std::uint64_t{1} << 62U) break;
  }
  const auto span = co_await process->find(Stream::out, lmsb::guest_client::Period());
  LMSB_ASSERT(!span.ok() || span->begin <= span->end);
  std::string input(70'000, 'i');
  (void)co_await process->write_stdin(std::move(input), true, lmsb::io::Deadline::never());
}

lmsb::io::Always<void> connect_port(std::shared_ptr<Channel> channel) { (void)co_await channel->connect_port(80); }

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  UniqueFd ours;
  UniqueFd guest;
  LMSB_ASSERT(lmsb::message_socket_pair(ours, guest, SOCK_NONBLOCK));
  boost::asio::io_context loop;
  {
    const auto channel = std::make_shared<Channel>(loop, std::move(ours), Channel::kAnswerLimit, Channel::Guest::held);
    lmsb::io::spawn(loop, wait_ready(channel));
    lmsb::io::spawn(loop, take_held(channel));
    lmsb::guest_client::StartSpec spec;
    spec.argv = {"true"};
    for (int i = 0; i < 2; ++i) {  // sequences 1 and 2
      auto process = channel->start(spec, -1);
      LMSB_ASSERT(process.ok());
      lmsb::io::spawn(loop, wait_ended(std::make_shared<Process>(*std::move(process))));
    }
    auto kept = channel->start_kept(spec, -1);  // sequence 3
    LMSB_ASSERT(kept.ok());
    lmsb::io::spawn(loop, use_kept(std::make_shared<KeptProcess>(*std::move(kept))));
    lmsb::io::spawn(loop, connect_port(channel));  // sequence 4
    lmsb::fuzz::Input input(data, size);
    while (!input.empty() && say(guest.get(), input)) loop.poll();
    guest.reset();
    loop.run();  // ends: the channel has heard that the guest is gone, and told all who waited
    LMSB_ASSERT(channel->is_closed());
  }
  return 0;
}
