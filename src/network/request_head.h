#pragma once
// request_head: the head of an HTTP/1 request on its way out, and where its body ends. Strict: whatever two servers
// could read in two ways is refused. Pure.
#include <cstdint>
#include <string>
#include <string_view>

namespace lmsb::network {

constexpr std::size_t kMaxRequestHead = 32U * 1024U;

struct RequestHead {
  enum class State : std::uint8_t { more, found, bad } state = State::more;
  std::string host;       // normal (host_name.h)
  std::size_t size = 0;   // octets of the head as it came
  std::string rewritten;  // what goes out: one request on this connection, nothing of upgrades
  bool is_chunked = false;
  std::uint64_t body_bytes = 0;  // unless chunked
};

// `octets`: all that the client has sent so far; of a head at most `most`. The request's target is a path, its one Host
// a name, with `port` or no port behind it. What goes out is longer by a third at most.
RequestHead read_request_head(std::string_view octets, std::uint32_t port, std::size_t most = kMaxRequestHead);

// Follows a body to its end.
class RequestBody {
 public:
  RequestBody() = default;
  explicit RequestBody(const RequestHead& head) : left_(head.body_bytes), is_chunked_(head.is_chunked) {}
  // How much of `octets`, which come next, belongs to it. Less than all of it: it has ended there, or is malformed.
  std::size_t take(std::string_view octets);
  bool has_ended() const { return is_chunked_ ? state_ == State::end : left_ == 0; }
  bool is_bad() const { return state_ == State::bad; }

 private:
  enum class State : std::uint8_t { size, size_end, data, data_end, data_lf, trailer, trailer_lf, end, bad };
  void step(char c);
  std::uint64_t left_ = 0;
  bool is_chunked_ = false;
  State state_ = State::size;
  unsigned digits_ = 0;
};

}  // namespace lmsb::network
