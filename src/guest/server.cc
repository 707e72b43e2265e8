#include "guest/server.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string_view>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <utility>

#include "guest/port_list.h"
#include "guest/posture.h"
#include "guest_protocol/sudo.h"
#include "os/sys.h"

namespace lmsb::guest {
namespace {

using guest_protocol::Kind;
using guest_protocol::Output;
using guest_protocol::Step;

std::array<char, sizeof(guest_protocol::StartRequest) + guest_protocol::kMaxBody> message;
// Root inside can kill whoever stands by. Each costs the machine a control group, which all of it waits for.
constexpr std::uint64_t kFirstPauseMs = 100;
constexpr std::uint64_t kLongestPauseMs = 5000;
constexpr int kBuffer = 212992;  // doubled by the kernel: of a channel, as the launcher makes it

// Calls `handle` with the message of that kind. False when its size is another.
template <class Message, class Handle>
bool with_message(std::size_t size, Handle handle) {
  Message request{};
  if (size != sizeof request) return false;
  std::memcpy(&request, message.data(), sizeof request);
  handle(request);
  return true;
}

std::uint64_t now_ms() {
  timespec t{};
  ::clock_gettime(CLOCK_BOOTTIME, &t);
  return static_cast<std::uint64_t>(t.tv_sec) * 1000U + static_cast<std::uint64_t>(t.tv_nsec) / 1'000'000U;
}

template <class Message>
bool send(int socket, const Message& value, const int* fds = nullptr, std::size_t count = 0) {
  const iovec part{const_cast<Message*>(&value), sizeof value};  // NOLINT: C interface
  return send_message(socket, &part, 1, fds, count);
}

// Reads a small file of a cgroup, or of procfs. Returns its text, empty when it cannot be read.
std::string_view read_small_file(int directory, const char* name, std::array<char, 1024>& buffer) {
  const UniqueFd file(::openat(directory, name, O_RDONLY | O_CLOEXEC));
  if (!file) return {};
  const ssize_t n = ::read(file.get(), buffer.data(), buffer.size() - 1);
  if (n <= 0) return {};
  buffer[static_cast<std::size_t>(n)] = '\0';
  return {buffer.data(), static_cast<std::size_t>(n)};
}

// The number behind `key` in lines of "key number"; 0 when absent.
std::uint64_t number_of(std::string_view text, std::string_view key) {
  const std::size_t at = text.find(key);
  return at == std::string_view::npos ? 0 : std::strtoull(text.data() + at + key.size(), nullptr, 10);
}

void read_cpu_time(int cgroup, std::uint64_t& user_us, std::uint64_t& system_us) {
  std::array<char, 1024> buffer{};
  const std::string_view cpu = read_small_file(cgroup, "cpu.stat", buffer);
  user_us = number_of(cpu, "user_usec ");
  system_us = number_of(cpu, "system_usec ");
}

bool is_populated(int cgroup) {
  std::array<char, 1024> buffer{};
  return number_of(read_small_file(cgroup, "cgroup.events", buffer), "populated ") != 0;
}

// While it lives, the processes of a cgroup do not run. Best effort: one in the middle of a long system call is waited
// for only kPatience.
class Standstill {
 public:
  explicit Standstill(int cgroup)
      : freeze_(::openat(cgroup, "cgroup.freeze", O_WRONLY | O_CLOEXEC)),
        events_(::openat(cgroup, "cgroup.events", O_RDONLY | O_CLOEXEC)) {
    constexpr int kPatienceMs = 100;
    std::array<char, 256> text{};
    if (!freeze_ || !events_ || ::write(freeze_.get(), "1", 1) != 1) return;
    for (int rounds = 0; rounds < 8; ++rounds) {  // each change of the file wakes us, also one of `populated`
      const ssize_t n = ::pread(events_.get(), text.data(), text.size() - 1, 0);
      text[static_cast<std::size_t>(n > 0 ? n : 0)] = '\0';
      if (number_of(text.data(), "frozen ") != 0) return;
      pollfd change{events_.get(), POLLPRI, 0};
      if (::poll(&change, 1, kPatienceMs) <= 0) return;
    }
  }
  ~Standstill() { (void)!::write(freeze_.get(), "0", 1); }
  Standstill(const Standstill&) = delete;
  Standstill& operator=(const Standstill&) = delete;

 private:
  UniqueFd freeze_;
  UniqueFd events_;
};

void kill_tree(int cgroup) {
  const UniqueFd file(::openat(cgroup, "cgroup.kill", O_WRONLY | O_CLOEXEC));
  (void)!::write(file.get(), "1", 1);
}

// Signals every process of a cgroup, while all stand still: none forks, and no number passes to another process.
void signal_tree(int cgroup, int signal) {
  const Standstill standstill(cgroup);
  const UniqueFd procs(::openat(cgroup, "cgroup.procs", O_RDONLY | O_CLOEXEC));
  pid_t pid = 0;  // numbers come in pieces: one may begin in one and end in the next
  std::array<char, 1024> text{};
  for (ssize_t n = 0; (n = ::read(procs.get(), text.data(), text.size())) > 0;)
    for (const char c : std::string_view(text.data(), static_cast<std::size_t>(n))) {
      if (c != '\n') {
        pid = pid * 10 + (c - '0');
        continue;
      }
      const UniqueFd process(pid > 0 ? sys::pidfd_open(pid) : -1);
      if (process) (void)sys::pidfd_send_signal(process.get(), signal);
      pid = 0;
    }
}

}  // namespace

Server::Server(int channel, Builder& builder, bool keep_standby)
    : channel_(channel),
      builder_(builder),
      keep_standby_(keep_standby),
      room_(builder.has_disk()),
      kept_(channel),
      ports_(channel) {}

int Server::prepare(Step& failed) {
  failed = Step::standby;
  if (const int error = limit_open_files(OpenFiles::of_guest); error != 0) return error;
  struct sigaction ends {};
  ends.sa_handler = SIG_DFL;
  ends.sa_flags = SA_NOCLDSTOP;  // anybody inside may stop and continue processes as often as he likes
  if (::sigaction(SIGCHLD, &ends, nullptr) < 0) return errno;
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGCHLD);
  ::sigaddset(&set, SIGTERM);  // of whoever ends the machine: nothing inside may send it
  if (::sigprocmask(SIG_BLOCK, &set, nullptr) < 0) return errno;
  children_.reset(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  timer_.reset(::timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!children_ || !timer_) return errno;
  if (builder_.confinement().profile == guest_protocol::Profile::root)
    if (const int error = sudo_door_.open(); error != 0) return error;
  return fork_standby(builder_.cgroup(), next_cgroup_++, builder_.confinement(), standby_, failed);
}

bool Server::send_ready() {
  guest_protocol::Ready ready{};
  ready.header = {Kind::ready, 0};
  ready.landlock_abi = builder_.landlock_abi();
  ready.packet_times = builder_.packet_times();
  ready.has_netlink_door = builder_.netlink_door().is_open() ? 1 : 0;
  ready.step_us = builder_.step_us();
  return send(channel_, ready);
}

void Server::run() {
  std::array<pollfd, 9> waits = {{{channel_, POLLIN, 0},
                                  {children_.get(), POLLIN, 0},
                                  {timer_.get(), POLLIN, 0},
                                  {-1, POLLIN, 0},
                                  {-1, POLLIN, 0},
                                  {builder_.listener(), POLLIN, 0},
                                  {-1, POLLIN, 0},
                                  {-1, POLLIN, 0},
                                  {-1, POLLIN, 0}}};
  while (!is_asked_to_end_) {
    if (is_away_ && life_end_ms_ != 0 && now_ms() >= life_end_ms_) return;
    waits[0].fd = is_away_ ? -1 : channel_;
    waits[3].fd = kept_.events();
    waits[4].fd = ports_.events();
    waits[6].fd = builder_.netlink_door().events();
    waits[7].fd = sudo_door_.socket(now_ms(), is_sudo_full());
    waits[8].fd = sudo_door_.answer();
    if (::poll(waits.data(), waits.size(), has_more_children_ ? 0 : -1) < 0 && errno != EINTR) return;
    if (has_more_children_ || (waits[1].revents & POLLIN) != 0) handle_children();
    if ((waits[2].revents & POLLIN) != 0) handle_deadlines();
    if ((waits[3].revents & POLLIN) != 0) kept_.handle_events(now_ms());
    if ((waits[4].revents & POLLIN) != 0) ports_.handle_events();
    if ((waits[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0 && !handle_message()) return;
    if ((waits[5].revents & POLLIN) != 0) take_channel();
    if ((waits[6].revents & POLLIN) != 0) builder_.netlink_door().serve();
    if (waits[8].revents != 0) note_caller();
    if ((waits[7].revents & (POLLHUP | POLLERR | POLLNVAL)) != 0) sudo_door_.close();
    if (waits[7].revents == POLLIN) serve_sudo();
    if (wants_standby()) make_standby();
  }
}

// What it ends here ends as all else does: handle_children() hears of it.
void Server::lose_channel() {
  is_away_ = true;
  (void)::shutdown(channel_, SHUT_RDWR);  // for whatever reason: the daemon, if there is one, is to know
  for (const Running& command : running_)
    if (command.pid >= 0 && !command.is_kept) kill_trees(command.sequence);
  kept_.lose_channel();
  ports_.lose_channel();
  builder_.way_out().close_listener();
  model_door_.close();
  arm_timer();
}

// Only a launcher comes there, for a daemon that is later than the one of the channel.
void Server::take_channel() {
  constexpr int kMomentMs = 100;
  const UniqueFd channel(::accept4(builder_.listener(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!channel && errno != EAGAIN) (void)::poll(nullptr, 0, kMomentMs);  // no descriptor or memory is free: not at once
  if (!channel) return;
  if (!is_away_) lose_channel();
  (void)::setsockopt(channel.get(), SOL_SOCKET, SO_SNDBUF, &kBuffer, sizeof kBuffer);
  if (::dup2(channel.get(), channel_) < 0) return;
  is_away_ = false;
  keep_standby_ = true;
  arm_timer();
  if (send_ready()) kept_.tell_all(last_sequence_);
}

bool Server::wants_standby() const {
  return keep_standby_ && standby_.pid < 0 && (next_standby_ms_ == 0 || now_ms() >= next_standby_ms_);
}

void Server::make_standby() {
  Step failed{};
  Standby fresh;  // out of processes is no reason to end: the next start tries again
  next_standby_ms_ = 0;
  if (fork_standby(builder_.cgroup(), next_cgroup_++, builder_.confinement(), fresh, failed) != 0)
    return pause_standbys();
  standby_ = std::move(fresh);
}

void Server::end_standby() {
  if (standby_.pid < 0) return;
  (void)linger(0, standby_.cgroup_number);
  (void)sys::pidfd_send_signal(standby_.pidfd.get(), SIGKILL);  // closed it would exit, unless somebody has stopped it
  standby_ = Standby{};
}

void Server::pause_standbys() {
  standby_pause_ms_ = std::clamp(2 * standby_pause_ms_, kFirstPauseMs, kLongestPauseMs);
  next_standby_ms_ = now_ms() + standby_pause_ms_;
  arm_timer();
}

bool Server::handle_message() {
  ReceivedFds fds;
  const ssize_t received = receive_message(channel_, message.data(), message.size(), fds);
  if (received < 0 && errno == ECONNRESET) return true;  // what it had sent before is still there, and then the end
  if (received <= 0 && stays_) return lose_channel(), true;
  if (received <= 0) return false;
  const auto size = static_cast<std::size_t>(received);
  guest_protocol::Header header{};
  if (size < sizeof header) return false;
  std::memcpy(&header, message.data(), sizeof header);
  switch (header.kind) {
    case Kind::start: return handle_start(size, fds);
    case Kind::kill: return with_message<guest_protocol::KillRequest>(size, [&](const auto& r) { handle_kill(r); });
    case Kind::read_output:
      return with_message<guest_protocol::ReadOutput>(size, [&](const auto& r) { kept_.read_output(r); });
    case Kind::find_output:
      return with_message<guest_protocol::FindOutput>(size, [&](const auto& r) { kept_.find_output(r); });
    case Kind::write_stdin: return handle_write(size);
    case Kind::resize: return with_message<guest_protocol::Resize>(size, [&](const auto& r) { kept_.resize(r); });
    case Kind::connect_port:
      return with_message<guest_protocol::ConnectPort>(size, [&](const auto& r) { handle_connect(r); });
    case Kind::forget: return handle_forget(header.sequence), true;
    case Kind::take_network: return handle_take_network(header.sequence);
    case Kind::take_models: return handle_take_models(header.sequence);
    case Kind::read_usage: return handle_read_usage(header.sequence);
    case Kind::keep_note: return handle_note(size);
    case Kind::stay: return with_message<guest_protocol::Stay>(size, [&](const auto& r) { handle_stay(r); });
    default: return false;
  }
}

bool Server::handle_write(std::size_t size) {
  guest_protocol::WriteStdin request{};
  if (size < sizeof request) return false;
  std::memcpy(&request, message.data(), sizeof request);
  if (request.size > guest_protocol::kMaxPiece || size != sizeof request + request.size) return false;
  kept_.write_stdin(request, message.data() + sizeof request);
  return true;
}

void Server::handle_forget(std::uint32_t sequence) {
  kill_trees(sequence);
  kept_.forget(sequence);
}

bool Server::handle_note(std::size_t size) {
  guest_protocol::KeepNote request{};
  if (size < sizeof request) return false;
  std::memcpy(&request, message.data(), sizeof request);
  if (size != sizeof request + request.size) return false;
  (void)kept_.keep_note(request.header.sequence, message.data() + sizeof request, request.size);
  return true;
}

bool Server::handle_take_network(std::uint32_t sequence) {
  const WayOut& way_out = builder_.way_out();
  way_out.close_listener();
  const std::array<int, 2> sockets = {way_out.listener(), way_out.names()};
  const guest_protocol::Header answer{Kind::network, sequence};
  return send(channel_, answer, sockets.data(), way_out.is_open() ? sockets.size() : 0) || stays_;
}

bool Server::handle_take_models(std::uint32_t sequence) {
  model_door_.close();
  const guest_protocol::Models answer{{Kind::models, sequence}, model_door_.open()};
  const int socket = model_door_.socket();
  return send(channel_, answer, &socket, answer.error == 0 ? 1 : 0) || stays_;
}

bool Server::handle_read_usage(std::uint32_t sequence) {
  guest_protocol::Usage usage{{Kind::usage, sequence}, ESRCH, 0, 0, 0};
  if (const Running* command = find(sequence); command != nullptr) {
    usage.error = 0;
    read_cpu_time(command->cgroup.get(), usage.cpu_user_us, usage.cpu_system_us);
  }
  return send(channel_, usage) || stays_;
}

void Server::handle_stay(const guest_protocol::Stay& request) {
  stays_ = builder_.listener() >= 0;
  life_end_ms_ = request.life_ms == 0 ? 0 : now_ms() + request.life_ms;
}

void Server::handle_connect(const guest_protocol::ConnectPort& request) {
  const std::uint64_t before = ports_.first_deadline_ms();
  ports_.connect(request, now_ms());
  if (ports_.first_deadline_ms() != before) arm_timer();
}

bool Server::handle_start(std::size_t size, ReceivedFds& fds) {
  guest_protocol::StartRequest request{};
  if (size < sizeof request) return false;
  std::memcpy(&request, message.data(), sizeof request);
  if (size != sizeof request + request.body_size || request.note_size > request.body_size) return false;
  const std::uint32_t sequence = request.header.sequence;
  last_sequence_ = std::max(last_sequence_, sequence);
  int stdin_fd = fds.count > 0 ? fds.fds[0].get() : -1;
  if (request.output != Output::kept) return start_command(request, size, stdin_fd);
  UniqueFd input;
  const guest_protocol::Profile profile = builder_.confinement().profile;
  const std::uint32_t user = request.as_user != 0 ? guest_protocol::kCommandUid : guest_protocol::command_id(profile);
  int error = request.columns != 0 ? kept_.begin_terminal(request, user, input) : kept_.begin(request, user, input);
  if (error == 0) error = kept_.keep_note(sequence, message.data() + size - request.note_size, request.note_size);
  if (error != 0) kept_.forget(sequence);
  if (error != 0) return send_start_failed(sequence, Step::command_stdio, error), true;
  if (input) stdin_fd = input.get();
  return start_command(request, size, stdin_fd);
}

// False when the channel is broken.
bool Server::start_command(const guest_protocol::StartRequest& request, std::size_t size, int stdin_fd) {
  const bool is_looker = request.program == guest_protocol::Program::ports;
  Step failed = Step::command_fork;
  bool sent = true;
  const int error = is_looker ? start_looker(request, size, stdin_fd, failed, sent)
                              : start_with_standby(request, size, stdin_fd, failed, sent);
  if (error == 0) return sent || stays_;  // the next message is the channel's end then
  kept_.forget(request.header.sequence);
  send_start_failed(request.header.sequence, failed, error);
  return true;
}

// The one that stands by stays a command's: at the limit of processes (EAGAIN) there may be no other. There this
// process itself says what listens. As start_with_standby().
int Server::start_looker(const guest_protocol::StartRequest& request, std::size_t size, int stdin_fd, Step& failed,
                         bool& sent) {
  Standby aside = std::exchange(standby_, Standby{});
  const int error = start_with_standby(request, size, stdin_fd, failed, sent);
  standby_ = std::move(aside);
  return error == EAGAIN && request.output != Output::kept ? list_ports(request, sent) : error;
}

// As a process would that ends at once. Returns 0, with whether that could be `sent`, or an errno.
int Server::list_ports(const guest_protocol::StartRequest& request, bool& sent) {
  std::array<int, 2> pipe{};
  if (::pipe2(pipe.data(), O_CLOEXEC) < 0) return errno;
  const UniqueFd out(pipe[0]);
  UniqueFd records(pipe[1]);
  if (::pipe2(pipe.data(), O_CLOEXEC) < 0) return errno;
  const UniqueFd err(pipe[0]);
  ::close(pipe[1]);
  if (::fcntl(records.get(), F_SETFL, O_NONBLOCK) < 0) return errno;  // this process waits for no reader
  if (const int error = list_without_owners(builder_.confinement().proc, records.get()); error != 0) return error;
  records.reset();
  const std::array<int, 2> ends = {out.get(), err.get()};
  const guest_protocol::Started started{{Kind::started, request.header.sequence}, ::getpid()};
  guest_protocol::Exited exited{};
  exited.header = {Kind::exited, request.header.sequence};
  sent = send(channel_, started, ends.data(), ends.size()) && send(channel_, exited);
  return 0;
}

// Makes the standby the command of the request. Returns 0, with whether that could be `sent`, or an errno, with
// `failed`.
int Server::start_with_standby(const guest_protocol::StartRequest& request, std::size_t size, int stdin_fd,
                               Step& failed, bool& sent) {
  const std::uint32_t sequence = request.header.sequence;
  Running* slot = running_.find_free([](const Running& command) { return command.pid < 0; });
  const std::span<const int> streams(&stdin_fd, stdin_fd >= 0 ? 1 : 0);
  using guest_protocol::Program;
  const bool is_judged = request.program == Program::exec || request.program == Program::shell;
  const bool had_room = is_judged && room_.has_room();
  const For whom = request.program == Program::ports ? For::looker : request.as_user != 0 ? For::user : For::anybody;
  const int error = slot == nullptr ? EAGAIN : use_standby(size, streams, whom, failed);
  if (error != 0) return error;
  sent = send_started(request);
  enlist(*slot);
  standby_pause_ms_ = next_standby_ms_ = 0;  // not for who is inside, and asks by sudo
  slot->sequence = sequence;
  slot->is_kept = request.output == Output::kept;
  slot->had_room = had_room;
  slot->looks = whom == For::looker;
  note_company(*slot);
  slot->deadline_ms = request.deadline_ms == 0 ? 0 : now_ms() + request.deadline_ms;
  if (slot->deadline_ms != 0) arm_timer();
  return 0;
}

// One for a looker is made for it, and handed over at once or ended: no command ever gets it.
int Server::use_standby(std::size_t size, std::span<const int> streams, For whom, Step& failed) {
  Confinement confinement = builder_.confinement();
  if (whom == For::looker) confinement = to_look_at_commands(confinement);
  for (int tries = 0;; ++tries) {  // the one that stands by may have been killed a moment ago, by root inside
    int error = 0;
    if (standby_.pid < 0) error = fork_standby(builder_.cgroup(), next_cgroup_++, confinement, standby_, failed);
    if (error == 0 && whom == For::user) error = give_output_to_user(standby_);
    if (whom == For::sudo) standby_.out.reset(), standby_.err.reset();  // while nobody else can hold a pipe's lock
    if (error == 0) error = hand_over(size, streams);
    if (error != EPIPE || tries > 0) return error;
  }
}

void Server::enlist(Running& slot) {
  slot.pid = standby_.pid;
  slot.cgroup_number = standby_.cgroup_number;
  slot.pidfd = std::move(standby_.pidfd);
  slot.socket = std::move(standby_.socket);
  slot.cgroup = std::move(standby_.cgroup);
  standby_ = Standby{};
}

// What happens to the sandbox while a command is alone in it is that command's. Who serves sudo serves a command, and
// who looks is nobody's.
void Server::note_company(Running& newcomer) {
  newcomer.was_alone = lingering_count_ == 0;
  for (Running& command : running_) {
    if (&command == &newcomer || command.pid < 0 || command.serves_sudo || command.looks) continue;
    newcomer.was_alone = false;
    if (!newcomer.looks) command.was_alone = false;
  }
}

// Of what is left behind a control group is, too.
bool Server::is_sudo_full() {
  const auto serving = std::count_if(running_.begin(), running_.end(),
                                     [](const Running& command) { return command.pid >= 0 && command.serves_sudo; });
  const auto trees = std::span(lingering_).first(lingering_count_);
  const auto left = std::count_if(trees.begin(), trees.end(), [](const Lingering& tree) { return tree.is_of_sudo; });
  return serving >= std::ptrdiff_t{guest_protocol::kMaxSudo} || left >= std::ptrdiff_t{guest_protocol::kMaxSudoLeft};
}

// Somebody waits at the door: a command of root lets it in, started as all are.
void Server::serve_sudo() {
  guest_protocol::StartRequest request{};
  const std::array<std::string_view, 3> strings = {guest_protocol::kSudoProgram, guest_protocol::kSudoServe, "/"};
  std::size_t size = sizeof request;
  for (const std::string_view text : strings) {
    std::memcpy(message.data() + size, text.data(), text.size());
    size += text.size();
    message[size++] = '\0';
  }
  request.header.kind = Kind::start;
  request.argc = 2;
  request.body_size = static_cast<std::uint32_t>(size - sizeof request);
  std::memcpy(message.data(), &request, sizeof request);
  Running* slot = running_.find_free([](const Running& command) { return command.pid < 0; });
  const std::array<int, 2> streams = {sudo_door_.listener(), sudo_door_.make_answer()};
  Step failed{};
  if (slot == nullptr || streams[1] < 0 || use_standby(size, streams, For::sudo, failed) != 0) {
    sudo_door_.pause(now_ms());
  } else {
    sudo_door_.note_start(standby_.pid, now_ms());
    enlist(*slot);
    slot->serves_sudo = true;
    slot->is_kept = true;  // as long as its caller is
  }
  arm_timer();
}

// Who serves has said whom: what it runs is that one's command's, whose end it shares.
void Server::note_caller() {
  const pid_t server = sudo_door_.server();
  const pid_t caller = sudo_door_.take_caller();
  if (caller <= 0) return;
  for (Running& command : running_)
    if (command.pid == server) command.sequence = sequence_of(caller);
}

// Of the command that a process is below; 0: of none, or it has ended.
std::uint32_t Server::sequence_of(pid_t process) {
  std::array<char, 32> path{};
  std::array<char, 1024> text{};
  (void)std::snprintf(path.data(), path.size(), "%d/cgroup", process);
  const std::uint64_t number =
      number_of(read_small_file(builder_.confinement().proc, path.data(), text), "0::/work/c-");
  for (const Running& command : running_)
    if (command.pid >= 0 && command.cgroup_number == number) return command.sequence;
  for (std::size_t i = 0; i < lingering_count_; ++i)
    if (lingering_[i].cgroup_number == number) return lingering_[i].sequence;
  return 0;
}

// What was served and has ended may leave others behind, as every command may; all else is killed with its caller. So
// is what nobody could end any more.
void Server::finish_sudo(Running& command, int status) {
  if (command.pid == sudo_door_.server()) note_caller();
  if (command.pid == sudo_door_.server()) sudo_door_.note_end();
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  const bool is_lasting = code == guest_protocol::kSudoServed && command.sequence != 0;
  if (code == guest_protocol::kSudoNobody || code == 127) sudo_door_.pause(now_ms());
  if (!is_populated(command.cgroup.get())) {
    remove_command_cgroup(builder_.cgroup(), command.cgroup_number);
  } else if (!linger(command.sequence, command.cgroup_number, true) || !is_lasting) {
    kill_tree(command.cgroup.get());
  }
  command = Running{};
  arm_timer();
}

// Passes the request in `message` on to the standby, which root inside may have stopped. Returns 0 or an errno.
int Server::hand_over(std::size_t size, std::span<const int> streams) {
  (void)sys::pidfd_send_signal(standby_.pidfd.get(), SIGCONT);
  const iovec part{message.data(), size};
  if (send_message(standby_.socket.get(), &part, 1, streams.data(), streams.size())) return 0;
  const int error = errno;
  end_standby();
  return error;
}

// The output's reading ends go to whoever reads them.
bool Server::send_started(const guest_protocol::StartRequest& request) {
  const guest_protocol::Started started{{Kind::started, request.header.sequence}, standby_.pid};
  if (request.output == Output::kept) {
    (void)kept_.take_output(started.header.sequence, started.pid, std::move(standby_.out), std::move(standby_.err));
    return send(channel_, started);
  }
  const std::array<int, 2> ends = {standby_.out.get(), standby_.err.get()};
  return send(channel_, started, ends.data(), ends.size());
}

// What nobody's command is: trees whose command has ended, and what is served by sudo to those in them.
void Server::end_left_behind(int signal) {
  note_caller();
  for (const Running& served : running_)  // first: who serves knows then what its caller is about to pass on
    if (served.pid >= 0 && served.serves_sudo && find(served.sequence) == nullptr)
      signal_tree(served.cgroup.get(), signal);
  for (std::size_t i = 0; i < lingering_count_; ++i)
    if (const UniqueFd cgroup = open_command_cgroup(builder_.cgroup(), lingering_[i].cgroup_number))
      signal_tree(cgroup.get(), signal);
  keep_standby_ = false;
  end_standby();
}

void Server::handle_kill(const guest_protocol::KillRequest& request) {
  if (request.header.sequence == guest_protocol::kLeftBehind && request.whole_tree != 0)
    return end_left_behind(request.signal);
  if (request.whole_tree != 0 && request.signal == SIGKILL) return kill_trees(request.header.sequence);
  if (request.whole_tree != 0)
    return with_trees(request.header.sequence, [&](int cgroup) { signal_tree(cgroup, request.signal); });
  if (const Running* command = find(request.header.sequence); command != nullptr)
    (void)sys::pidfd_send_signal(command->pidfd.get(), request.signal);
}

template <class Handle>
void Server::with_trees(std::uint32_t sequence, Handle handle) {
  note_caller();
  for (const bool serves_sudo : {true, false})  // who serves knows then what its caller is about to pass on
    for (const Running& command : running_)
      if (command.pid >= 0 && command.sequence == sequence && command.serves_sudo == serves_sudo)
        handle(command.cgroup.get());
  for (std::size_t i = 0; i < lingering_count_; ++i)
    if (lingering_[i].sequence == sequence)
      if (const UniqueFd cgroup = open_command_cgroup(builder_.cgroup(), lingering_[i].cgroup_number))
        handle(cgroup.get());
}

void Server::kill_trees(std::uint32_t sequence) { with_trees(sequence, kill_tree); }

// Not all at once: inside they may end faster than they are reaped, and others want to be served.
void Server::handle_children() {
  constexpr int kInATurn = 256;
  signalfd_siginfo info{};
  for (int i = 0; i < 2 && ::read(children_.get(), &info, sizeof info) > 0; ++i)  // each signal is pending once
    if (info.ssi_signo == SIGTERM) is_asked_to_end_ = true;
  has_more_children_ = true;
  for (int i = 0; i < kInATurn; ++i) {
    int status = 0;
    rusage usage{};
    const pid_t pid = ::wait4(-1, &status, WNOHANG, &usage);  // PID 1 is everybody's parent in the end
    if (pid <= 0) {
      has_more_children_ = false;
      break;
    }
    if (builder_.netlink_door().note_end(pid)) continue;
    if (pid == standby_.pid) {
      remove_command_cgroup(builder_.cgroup(), standby_.cgroup_number);
      standby_ = Standby{};
      pause_standbys();
      continue;
    }
    if (room_.may_have_written(usage.ru_oublock)) room_.forget();  // of what was orphaned nobody else tells
    for (Running& command : running_) {
      if (command.pid != pid) continue;
      if (command.serves_sudo) {
        room_.forget();
        finish_sudo(command, status);
      } else {
        finish(command, status, usage);
      }
    }
  }
  sweep_lingering();
}

void Server::finish(Running& command, int status, const rusage& usage) {
  if (!report_from_standby(command)) {
    guest_protocol::Exited exited{};
    exited.header = {Kind::exited, command.sequence};
    exited.status = status;
    with_trees(command.sequence, [&](int cgroup) { exited.tree_left |= is_populated(cgroup) ? 1U : 0U; });
    exited.timed_out = command.timed_out ? 1 : 0;
    const bool may_have_written = room_.may_have_written(usage.ru_oublock);
    if (may_have_written) room_.forget();
    exited.was_alone = command.was_alone ? 1 : 0;
    exited.disk_full = status != 0 && !room_.look() ? 1 : 0;
    exited.disk_filled = exited.disk_full != 0 && command.had_room && command.was_alone && may_have_written ? 1 : 0;
    if (exited.tree_left != 0) room_.forget();  // it goes on writing
    read_cpu_time(command.cgroup.get(), exited.cpu_user_us, exited.cpu_system_us);
    exited.max_rss_bytes = static_cast<std::uint64_t>(usage.ru_maxrss) * 1024U;
    (void)send(channel_, exited);
    kept_.note_end(exited, now_ms());
  }
  if (is_populated(command.cgroup.get())) {
    (void)linger(command.sequence, command.cgroup_number);
  } else {
    remove_command_cgroup(builder_.cgroup(), command.cgroup_number);
  }
  command = Running{};
}

// A standby that could not become its command says so before it exits. True when it did, and it has been passed on.
bool Server::report_from_standby(Running& command) {
  BecomeFailure failure{};
  ReceivedFds fds;
  const ssize_t size = receive_message(command.socket.get(), &failure, sizeof failure, fds, MSG_DONTWAIT);
  if (size != static_cast<ssize_t>(sizeof failure)) return false;
  send_start_failed(command.sequence, failure.step, failure.error);
  kept_.note_end({{Kind::start_failed, command.sequence}, failure.step, failure.error}, now_ms());
  return true;
}

void Server::send_start_failed(std::uint32_t sequence, Step step, int error) {
  const guest_protocol::StartFailed failed{{Kind::start_failed, sequence}, step, error};
  (void)send(channel_, failed);
}

void Server::handle_deadlines() {
  std::uint64_t expirations = 0;
  (void)!::read(timer_.get(), &expirations, sizeof expirations);
  const std::uint64_t now = now_ms();
  for (Running& command : running_) {
    if (command.pid < 0 || command.deadline_ms == 0 || command.deadline_ms > now) continue;
    command.deadline_ms = 0;
    command.timed_out = true;
    kill_trees(command.sequence);
  }
  ports_.handle_deadlines(now);
  arm_timer();
}

void Server::arm_timer() {
  std::uint64_t first = ports_.first_deadline_ms();
  if (is_away_ && life_end_ms_ != 0 && (first == 0 || life_end_ms_ < first)) first = life_end_ms_;
  const bool waits = keep_standby_ && standby_.pid < 0 && next_standby_ms_ != 0;
  if (waits && (first == 0 || next_standby_ms_ < first)) first = next_standby_ms_;
  for (const Running& command : running_)
    if (command.pid >= 0 && command.deadline_ms != 0 && (first == 0 || command.deadline_ms < first))
      first = command.deadline_ms;
  const std::uint64_t door = sudo_door_.opens_ms(now_ms());
  if (door != 0 && (first == 0 || door < first)) first = door;
  itimerspec spec{};
  spec.it_value.tv_sec = static_cast<time_t>(first / 1000U);
  spec.it_value.tv_nsec = static_cast<long>(first % 1000U * 1'000'000U);
  (void)::timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &spec, nullptr);
}

bool Server::linger(std::uint32_t sequence, std::uint32_t cgroup_number, bool is_of_sudo) {
  if (lingering_count_ == lingering_.size()) return false;
  lingering_[lingering_count_++] = {sequence, cgroup_number, is_of_sudo};
  return true;
}

// Cgroups of background trees whose last process has just gone.
void Server::sweep_lingering() {
  for (std::size_t i = 0; i < lingering_count_;) {
    // To try to remove one takes a lock of the whole machine; to look does not.
    const UniqueFd cgroup = open_command_cgroup(builder_.cgroup(), lingering_[i].cgroup_number);
    if (cgroup && is_populated(cgroup.get())) {
      ++i;
      continue;
    }
    std::array<char, 32> path{};
    (void)std::snprintf(path.data(), path.size(), "work/c-%u", lingering_[i].cgroup_number);
    if (::unlinkat(builder_.cgroup(), path.data(), AT_REMOVEDIR) < 0 && errno == EBUSY) {
      ++i;
    } else {
      lingering_[i] = lingering_[--lingering_count_];
      room_.forget();
    }
  }
}

Server::Running* Server::find(std::uint32_t sequence) {
  for (Running& command : running_)
    if (command.pid >= 0 && command.sequence == sequence && !command.serves_sudo) return &command;
  return nullptr;
}

}  // namespace lmsb::guest
