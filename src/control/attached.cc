#include "control/attached.h"

#include <algorithm>
#include <csignal>
#include <string_view>
#include <utility>

#include "base/clock.h"
#include "base/text.h"

namespace lmsb::control {
namespace {

Error has_ended() { return Error(ErrorCode::failed_precondition, "the process has ended").with_slug("process_ended"); }

// Without its output, which is its caller's.
ExecResult ending_of(const ExecResult& result) {
  ExecResult ending;
  ending.outcome = result.outcome;
  ending.exit_code = result.exit_code;
  ending.signal = result.signal;
  ending.usage = result.usage;
  ending.sandbox_id = result.sandbox_id;
  ending.process_id = result.process_id;
  ending.image_digest = result.image_digest;
  ending.hint = result.hint;
  ending.background_left = result.background_left;
  return ending;
}

}  // namespace

std::variant<std::string, Argv> shown_command(const std::variant<std::string, Argv>& cmd) {
  constexpr std::size_t kMaxShown = 4096;
  const auto cut = [](const std::string& text, std::size_t room) {
    if (text.size() <= room) return text;
    const std::string_view head = std::string_view(text).substr(0, room);
    return std::string(head.substr(0, head.size() - incomplete_utf8_end(head))) + "...";
  };
  if (const auto* text = std::get_if<std::string>(&cmd)) return cut(*text, kMaxShown);
  Argv shown;
  std::size_t room = kMaxShown;
  for (const std::string& argument : std::get<Argv>(cmd)) {
    shown.push_back(cut(argument, room));
    room -= std::min(room, argument.size() + 1);
    if (room == 0) break;
  }
  return shown;
}

// ---- AttachedCommand

AttachedCommand::AttachedCommand(boost::asio::io_context& loop, ProcessInfo info, Signal signal)
    : info_(std::move(info)), signal_(std::move(signal)), over_(loop) {}

const ProcessInfo& AttachedCommand::info() {
  if (info_.started_at.empty()) {
    const auto ago = std::chrono::steady_clock::now() - began_;
    info_.started_at = rfc3339_in(-std::chrono::floor<std::chrono::milliseconds>(ago));
  }
  return info_;
}

Status AttachedCommand::signal(int signal, bool whole_tree) {
  if (!signal_) return has_ended();
  return signal_(signal, whole_tree);
}

Status AttachedCommand::end() {
  LMSB_CHECK(signal(SIGKILL, true));
  was_ended_ = true;
  return {};
}

io::Task<void> AttachedCommand::wait_end(io::Deadline deadline) {
  while (signal_) LMSB_CO_CHECK(co_await over_.wait(deadline));
  co_return Status();
}

// ---- AttachedCommands

std::shared_ptr<AttachedCommand> AttachedCommands::find(const std::string& id) const {
  const auto found = std::find_if(all_.begin(), all_.end(), [&](const auto& command) { return command->is(id); });
  return found == all_.end() ? nullptr : *found;
}

Status AttachedCommands::end(const std::shared_ptr<AttachedCommand>& command) {
  LMSB_CHECK(command->end());
  std::erase(all_, command);
  return {};
}

// ---- Attachment

Attachment::Attachment(boost::asio::io_context& loop, std::shared_ptr<AttachedCommands> all, ProcessInfo info,
                       AttachedCommand::Signal signal)
    : all_(std::move(all)), command_(std::make_shared<AttachedCommand>(loop, std::move(info), std::move(signal))) {
  all_->all_.push_back(command_);
}

Attachment::~Attachment() {
  command_->signal_ = nullptr;
  command_->over_.notify_all();
  std::erase(all_->all_, command_);
}

void Attachment::tell_end(const ExecResult& result) {
  if (command_->over_.waiting() == 0) return;
  (void)command_->info();  // its start, which is counted from now
  command_->info_.ended_at = rfc3339_now();
  command_->info_.has_stdin = false;
  command_->info_.result = ending_of(result);
}

ProcessInfo attached_info(const Command& command, std::string cwd, std::string sandbox, int pid, std::string id) {
  ProcessInfo info;
  info.id = std::move(id);
  info.sandbox_id = std::move(sandbox);
  info.cmd = shown_command(command.cmd);
  info.cwd = std::move(cwd);
  info.pid = pid;
  info.timeout = command.timeout;
  info.merge_stderr = command.merge_stderr;
  info.is_attached = true;
  return info;
}

}  // namespace lmsb::control
