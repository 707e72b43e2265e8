#include "cli/exec_session.h"

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <memory>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "base/text.h"
#include "cli/follow.h"
#include "cli/stdin_pump.h"
#include "cli/terminal_session.h"
#include "cli/values.h"

namespace lmsb::cli {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kUnlimited = std::chrono::hours(24);

// Can be read when one of both can; an invalid one never can. Itself invalid, with errno, where the kernel has none.
UniqueFd either_of(BorrowedFd one, BorrowedFd other) {
  UniqueFd either(::epoll_create1(EPOLL_CLOEXEC));
  epoll_event readable{};
  readable.events = EPOLLIN;
  for (const int fd : {one.get(), other.get()})
    if (fd >= 0 && ::epoll_ctl(either.get(), EPOLL_CTL_ADD, fd, &readable) < 0) return {};
  return either;
}

// Follows a command that is written to as it runs. Where that fails the exchange is ended, and the command with it.
Result<int> converse(Connection& connection, Call call, const std::string& sandbox, Console& console) {
  const UniqueFd failed(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  const UniqueFd either = either_of(call.stop, failed);
  if (!failed || !either) return Error::from_errno(errno, "pass on stdin");
  call.stop = either;
  std::unique_ptr<StdinPump> pump;
  const auto started = [&](const std::string& process) {
    const std::string target = sandbox_url(sandbox) + "/processes/" + url_segment(process) + "/stdin";
    pump = std::make_unique<StdinPump>(connection, target, failed);
  };
  const auto followed = follow(connection, call, true, console, started);
  std::uint64_t count = 0;
  const bool has_failed = !followed.ok() && ::eventfd_read(failed.get(), &count) == 0;
  if (has_failed) return *pump->failure();
  LMSB_CHECK(followed);
  return followed->exit_status;
}

Result<int> show_detached(Api& api, const Call& call, bool json, Console& console) {
  LMSB_TRY(const auto process, call_json(api, call));
  console.out(json ? pretty(process.root()) : text_field(process.root(), "id") + "\n");
  return 0;
}

// A stream of a result as it was written; what was left out in the middle is told.
std::string stream_of(json::Value result, const std::string& name, Console& console) {
  const auto truncated = result.find("truncated");
  const double missing = truncated ? number_field(*truncated, name + "_bytes").value_or(0) : 0;
  if (missing > 0)
    note(console, human_size(missing) + " of " + name + " are left out: more was written than an answer holds");
  if (auto octets = base64_decode(text_field(result, name + "_base64")); octets && !octets->empty()) return *octets;
  return text_field(result, name);
}

// What a shell session's command has come to: its streams end with marks of the session's, so it comes as a whole.
Result<int> show_result(Api& api, const Call& call, Console& console) {
  LMSB_TRY(const auto result, call_json(api, call));
  console.out(stream_of(result.root(), "stdout", console));
  console.err(stream_of(result.root(), "stderr", console));
  note_end(result.root(), console);
  return exit_status_of(result.root());
}

}  // namespace

Result<int> conclude(Api& api, const Call& call, bool json, Console& console) {
  if (!json) {
    LMSB_TRY(const auto followed, follow(api, call, true, console));
    return followed.exit_status;
  }
  LMSB_TRY(const auto result, call_json(api, call));
  console.out(pretty(result.root()));
  return exit_status_of(result.root());
}

Result<int> exec_in(const ExecCommand& command, const Inputs& inputs, Connection& connection, const ExecWay& way,
                    Console& console) {
  ExecCommand limited = command;
  const bool is_followed = !command.detach && !command.terminal;
  const bool is_whole = command.target.json || !command.session.empty();  // the API's limit is for programs
  if (is_followed && !command.process.timeout) limited.process.timeout = is_whole ? kUnlimited : milliseconds(0);
  Call call("POST", sandbox_url(command.sandbox) + "/exec", exec_body(limited, inputs, window_size()));
  if (command.terminal) {
    LMSB_TRY(const auto process, call_json(connection, call));
    return join_terminal(connection, command.sandbox, text_field(process.root(), "id"), console, way.renewal);
  }
  if (command.detach) return show_detached(connection, call, command.target.json, console);
  call.timeout = (command.process.timeout ? *command.process.timeout : kUnlimited) + kQueueAllowance;
  if (command.process.timeout) call.silence = call.timeout;
  call.stop = way.stop;
  if (!command.session.empty() && !command.target.json) return show_result(connection, call, console);
  if (streams_stdin(command)) return converse(connection, call, command.sandbox, console);
  return conclude(connection, call, command.target.json, console);
}

}  // namespace lmsb::cli
