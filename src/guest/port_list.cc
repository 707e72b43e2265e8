#include "guest/port_list.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

#include "base/unique_fd.h"
#include "os/atomic_file.h"
#include "os/directory_stream.h"

namespace lmsb::guest {
namespace {

constexpr unsigned kListens = 0x0A;  // TCP_LISTEN

// The next word of `text`, which it leaves behind it.
std::string_view take_word(std::string_view& text) {
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  const std::string_view word = text.substr(0, text.find(' '));
  text.remove_prefix(word.size());
  return word;
}

bool parse_number(std::string_view text, int base, std::uint64_t& value) {
  const char* const end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, value, base);
  return error == std::errc() && at == end;
}

// "0100007F:1F90": words of the address in this machine's order, then the port.
bool parse_address(std::string_view text, std::size_t words, guest_protocol::PortRecord& record) {
  constexpr std::size_t kDigits = 8;
  std::uint64_t number = 0;
  if (text.size() < words * kDigits + 2 || text[words * kDigits] != ':') return false;
  for (std::size_t i = 0; i < words; ++i) {
    if (!parse_number(text.substr(i * kDigits, kDigits), 16, number)) return false;
    const auto word = static_cast<std::uint32_t>(number);
    std::memcpy(record.address.data() + i * sizeof word, &word, sizeof word);
  }
  if (!parse_number(text.substr(words * kDigits + 1), 16, number) || number == 0 || number > UINT16_MAX) return false;
  record.port = static_cast<std::uint32_t>(number);
  return true;
}

struct SocketList {
  std::array<ListeningSocket, guest_protocol::kMaxListedPorts> sockets;
  std::size_t count = 0;
};

SocketList list;

// Those that listen stand first, behind a header; however many others there are.
int read_sockets(int proc, const char* path, bool is_v6) {
  UniqueFd descriptor(::openat(proc, path, O_RDONLY | O_CLOEXEC));
  if (!descriptor) return errno == ENOENT ? 0 : errno;  // a kernel without IPv6
  std::FILE* const file = ::fdopen(descriptor.get(), "r");
  if (file == nullptr) return errno;
  (void)descriptor.release();
  std::array<char, 512> line{};
  const auto next = [&] { return std::fgets(line.data(), line.size(), file) != nullptr; };
  bool goes_on = next();
  while (goes_on && list.count < list.sockets.size()) {
    goes_on = next() && parse_socket_line(line.data(), is_v6, list.sockets[list.count]);
    if (goes_on) ++list.count;
  }
  return std::fclose(file) == 0 ? 0 : errno;
}

int read_all_sockets(int proc) {
  list.count = 0;
  const int error = read_sockets(proc, "self/net/tcp", false);
  return error != 0 ? error : read_sockets(proc, "self/net/tcp6", true);
}

int write_records(int out) {
  int error = 0;
  for (std::size_t i = 0; i < list.count && error == 0; ++i)
    error = os::write_exactly(out, &list.sockets[i].record, sizeof list.sockets[i].record);
  return error;
}

void read_name(int process, guest_protocol::PortRecord& record) {
  const UniqueFd file(::openat(process, "comm", O_RDONLY | O_CLOEXEC));
  if (!file || ::read(file.get(), record.name.data(), record.name.size() - 1) < 0) return;
  if (char* const end = std::strchr(record.name.data(), '\n'); end != nullptr) *end = '\0';
}

// Marks the sockets that are among the descriptors of one process, and have no owner yet.
void claim(int process, std::int32_t pid) {
  const auto directory = os::stream_of(UniqueFd(::openat(process, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC)));
  if (!directory) return;  // not ours to look at
  while (const dirent* const entry = ::readdir(directory.get())) {
    std::array<char, 64> target{};
    if (::readlinkat(::dirfd(directory.get()), entry->d_name, target.data(), target.size() - 1) <= 0) continue;
    constexpr std::string_view kSocket = "socket:[";
    if (std::strncmp(target.data(), kSocket.data(), kSocket.size()) != 0) continue;
    const std::uint64_t inode = std::strtoull(target.data() + kSocket.size(), nullptr, 10);
    for (std::size_t i = 0; i < list.count; ++i) {
      ListeningSocket& socket = list.sockets[i];
      if (socket.inode != inode || socket.record.pid != 0) continue;
      socket.record.pid = pid;
      read_name(process, socket.record);
    }
  }
}

void find_owners(int proc) {
  const auto directory = os::stream_of(UniqueFd(::openat(proc, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)));
  if (!directory) return;
  while (const dirent* const entry = ::readdir(directory.get())) {
    std::uint64_t pid = 0;
    if (!parse_number(entry->d_name, 10, pid)) continue;
    const UniqueFd process(::openat(::dirfd(directory.get()), entry->d_name, O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (process) claim(process.get(), static_cast<std::int32_t>(pid));
  }
}

}  // namespace

// "  0: ADDRESS:PORT PEER:PORT STATE QUEUES TIMER RETRANSMITS UID TIMEOUT INODE ..."
bool parse_socket_line(std::string_view line, bool is_v6, ListeningSocket& socket) {
  socket = {};
  socket.record.magic = guest_protocol::kPortMagic;
  socket.record.is_v6 = is_v6 ? 1 : 0;
  (void)take_word(line);
  const std::string_view address = take_word(line);
  (void)take_word(line);
  std::uint64_t state = 0;
  if (!parse_number(take_word(line), 16, state) || state != kListens) return false;
  for (int skipped = 0; skipped < 5; ++skipped) (void)take_word(line);
  return parse_number(take_word(line), 10, socket.inode) && parse_address(address, is_v6 ? 4 : 1, socket.record);
}

int run_ports() {
  const UniqueFd proc(::open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!proc) return errno;
  if (const int error = read_all_sockets(proc.get()); error != 0) return error;
  if (list.count > 0) find_owners(proc.get());
  return write_records(1);
}

int list_without_owners(int proc, int out) {
  const int error = read_all_sockets(proc);
  return error != 0 ? error : write_records(out);
}

}  // namespace lmsb::guest
