#include "os/tcp_peer.h"

#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sstream>
#include <string_view>
#include <unistd.h>

#include "base/unique_fd.h"
#include "os/directory_stream.h"

namespace lmsb {
namespace {

struct DiagRequest {
  nlmsghdr header;
  inet_diag_req_v2 query;
};

// One end in the form that inet_diag uses: a port in network order and up to four words of address.
struct End {
  std::uint16_t port = 0;
  std::array<std::uint32_t, 4> address{};
};

Error not_known(std::string_view why) {
  return Error(ErrorCode::failed_precondition, "ask who is at the other end: " + std::string(why));
}

End to_end(const sockaddr_storage& from) {
  End end;
  if (from.ss_family == AF_INET) {
    sockaddr_in in{};
    std::memcpy(&in, &from, sizeof in);
    end.port = in.sin_port;
    end.address[0] = in.sin_addr.s_addr;
  } else {
    sockaddr_in6 in{};
    std::memcpy(&in, &from, sizeof in);
    end.port = in.sin6_port;
    std::memcpy(end.address.data(), &in.sin6_addr, sizeof in.sin6_addr);
  }
  return end;
}

// The wanted socket is the peer's: its own address is what is remote to us.
DiagRequest make_request(const sockaddr_storage& theirs, const sockaddr_storage& ours) {
  DiagRequest request{};
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  request.header.nlmsg_flags = NLM_F_REQUEST;
  request.query.sdiag_family = static_cast<std::uint8_t>(theirs.ss_family);
  request.query.sdiag_protocol = IPPROTO_TCP;
  request.query.idiag_states = 1U << TCP_ESTABLISHED;
  const End source = to_end(theirs);
  const End destination = to_end(ours);
  request.query.id.idiag_sport = source.port;
  request.query.id.idiag_dport = destination.port;
  std::memcpy(request.query.id.idiag_src, source.address.data(), sizeof request.query.id.idiag_src);
  std::memcpy(request.query.id.idiag_dst, destination.address.data(), sizeof request.query.id.idiag_dst);
  request.query.id.idiag_cookie[0] = INET_DIAG_NOCOOKIE;
  request.query.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
  return request;
}

// A listener on the same port, or a socket that has been closed, would carry a uid that says nothing about the peer:
// sockets without a process (inode 0) are reported as root's.
Result<std::uint32_t> read_answer(const char* data, std::size_t size, const DiagRequest& request) {
  nlmsghdr header{};
  inet_diag_msg answer{};
  if (size < sizeof header) return not_known("short answer");
  std::memcpy(&header, data, sizeof header);
  if (header.nlmsg_type == NLMSG_ERROR) return not_known("no such connection");
  if (header.nlmsg_type != SOCK_DIAG_BY_FAMILY || size < NLMSG_HDRLEN + sizeof answer) {
    return not_known("unexpected answer");
  }
  std::memcpy(&answer, data + NLMSG_HDRLEN, sizeof answer);
  const bool same =
      answer.id.idiag_sport == request.query.id.idiag_sport && answer.id.idiag_dport == request.query.id.idiag_dport;
  if (!same || answer.idiag_state != TCP_ESTABLISHED) return not_known("the connection is closing");
  if (answer.idiag_inode == 0) return not_known("no process holds its socket");
  return answer.idiag_uid;
}

// ---- Who holds a port

struct Listener {
  std::uint64_t inode = 0;
  std::uint32_t uid = 0;
};

// One line of /proc/net/tcp: "sl local remote st tx:rx tr:tm retrnsmt uid timeout inode ...", ports in hex.
std::optional<Listener> parse_listener(const std::string& line, std::uint16_t port) {
  std::istringstream fields(line);
  std::array<std::string, 10> field;
  for (std::string& text : field) fields >> text;
  const std::size_t colon = field[1].rfind(':');
  if (!fields || colon == std::string::npos || field[3] != "0A") return std::nullopt;  // 0A: TCP_LISTEN
  if (std::strtoul(field[1].c_str() + colon + 1, nullptr, 16) != port) return std::nullopt;
  return Listener{std::strtoull(field[9].c_str(), nullptr, 10),
                  static_cast<std::uint32_t>(std::strtoul(field[7].c_str(), nullptr, 10))};
}

std::optional<Listener> find_listener(const char* table, std::uint16_t port) {
  std::ifstream file(table);
  for (std::string line; std::getline(file, line);) {
    if (auto listener = parse_listener(line, port)) return listener;
  }
  return std::nullopt;
}

bool holds_link(const std::string& fd_dir, const std::string& wanted) {
  const auto dir = os::stream_of(UniqueFd(::open(fd_dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)));
  if (!dir) return false;
  while (const dirent* entry = ::readdir(dir.get())) {
    std::array<char, 64> target{};
    const ssize_t size = ::readlinkat(::dirfd(dir.get()), entry->d_name, target.data(), target.size());
    if (size > 0 && std::string_view(target.data(), static_cast<std::size_t>(size)) == wanted) return true;
  }
  return false;
}

std::string command_line(const std::string& process_dir) {
  std::ifstream file(process_dir + "/cmdline", std::ios::binary);
  std::string command(120, '\0');
  file.read(command.data(), static_cast<std::streamsize>(command.size()));
  command.resize(static_cast<std::size_t>(file.gcount()));
  while (!command.empty() && command.back() == '\0') command.pop_back();
  for (char& c : command) {
    if (static_cast<unsigned char>(c) < ' ') c = ' ';
  }
  return command;
}

void find_process(PortHolder& holder) {
  const std::string wanted = "socket:[" + std::to_string(holder.inode) + "]";
  const auto proc = os::stream_of(UniqueFd(::open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC)));
  while (const dirent* entry = proc ? ::readdir(proc.get()) : nullptr) {
    const int pid = std::atoi(entry->d_name);
    const std::string process_dir = std::string("/proc/") + entry->d_name;
    if (pid <= 0 || !holds_link(process_dir + "/fd", wanted)) continue;
    holder.pid = pid;
    holder.command = command_line(process_dir);
    return;
  }
}

}  // namespace

Result<std::uint32_t> tcp_peer_uid(const sockaddr_storage& theirs, const sockaddr_storage& ours) {
  const bool inet = theirs.ss_family == AF_INET || theirs.ss_family == AF_INET6;
  if (!inet || theirs.ss_family != ours.ss_family) return not_known("not a TCP connection");
  const UniqueFd netlink(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
  if (!netlink) return Error::from_errno(errno, "open a socket for NETLINK_SOCK_DIAG");
  const DiagRequest request = make_request(theirs, ours);
  if (::send(netlink.get(), &request, sizeof request, 0) < 0) return Error::from_errno(errno, "ask NETLINK_SOCK_DIAG");
  std::array<char, 1024> answer{};
  const ssize_t size = ::recv(netlink.get(), answer.data(), answer.size(), MSG_DONTWAIT);
  if (size < 0) return Error::from_errno(errno, "read the answer of NETLINK_SOCK_DIAG");
  return read_answer(answer.data(), static_cast<std::size_t>(size), request);
}

std::optional<PortHolder> find_port_holder(std::uint16_t port) {
  auto listener = find_listener("/proc/net/tcp", port);
  if (!listener) listener = find_listener("/proc/net/tcp6", port);
  if (!listener) return std::nullopt;
  PortHolder holder;
  holder.inode = listener->inode;
  holder.uid = listener->uid;
  find_process(holder);
  return holder;
}

}  // namespace lmsb
