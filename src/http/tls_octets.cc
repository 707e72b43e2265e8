#include "http/tls_octets.h"

#include <cerrno>
#include <sys/socket.h>

#include "base/assert.h"

namespace lmsb::http {
namespace {

TlsOctets& octets_of(BIO* bio) { return *static_cast<TlsOctets*>(BIO_get_data(bio)); }

bool would_block(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == EINTR; }

// `retry` is what is to be waited for when the socket is not ready.
int result_of(BIO* bio, ssize_t count, int retry) {
  BIO_clear_flags(bio, BIO_FLAGS_RWS | BIO_FLAGS_SHOULD_RETRY);
  if (count >= 0) return static_cast<int>(count);
  if (would_block(errno)) {
    BIO_set_flags(bio, retry | BIO_FLAGS_SHOULD_RETRY);
  } else {
    octets_of(bio).error = errno;
  }
  return -1;
}

int read_octets(BIO* bio, char* room, int size) {
  TlsOctets& octets = octets_of(bio);
  const auto wanted = static_cast<std::size_t>(size);
  ssize_t count = -1;
  errno = EAGAIN;
  if (octets.reads_left > 0) {
    --octets.reads_left;
    count = ::recv(octets.socket.get(), room, wanted, MSG_DONTWAIT);
  }
  return result_of(bio, count, BIO_FLAGS_READ);
}

int write_octets(BIO* bio, const char* data, int size) {
  const auto wanted = static_cast<std::size_t>(size);
  const ssize_t count = ::send(octets_of(bio).socket.get(), data, wanted, MSG_DONTWAIT | MSG_NOSIGNAL);
  return result_of(bio, count, BIO_FLAGS_WRITE);
}

// Nothing is kept back here.
long control(BIO* /*bio*/, int command, long /*number*/, void* /*data*/) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

BIO_METHOD* make_method() {
  BIO_METHOD* method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket");
  LMSB_ASSERT(method != nullptr);
  BIO_meth_set_read(method, read_octets);
  BIO_meth_set_write(method, write_octets);
  BIO_meth_set_ctrl(method, control);
  return method;
}

}  // namespace

BIO* make_bio(TlsOctets& octets) {
  static BIO_METHOD* const method = make_method();
  BIO* bio = BIO_new(method);
  LMSB_ASSERT(bio != nullptr);
  BIO_set_data(bio, &octets);
  BIO_set_init(bio, 1);
  return bio;
}

}  // namespace lmsb::http
